"""A checkpoint in one SQLite file, for which nothing has to be installed or started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any
from zlib import crc32

from .._support.checks import describe_value
from .protocol import Checkpoint, CheckpointError, Record

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x4E41444F
"""Marks the file as a checkpoint of this package; ``NADO`` in ASCII."""

FORMAT = 1
"""Incremented when older versions cannot read what this one writes."""

_SCHEMA = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
    "CREATE TABLE header (node_id TEXT NOT NULL, node_type TEXT NOT NULL)",
    "CREATE TABLE results (item INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, "
    "preview TEXT NOT NULL, output BLOB NOT NULL, metadata BLOB NOT NULL, "
    "execution_time REAL NOT NULL, checksum INTEGER NOT NULL)",
)
_COLUMNS = 7
_GROUPS = (256, 16, 1)


class SqliteCheckpoint:
    """Keeps the successes of a batch in an SQLite file.

    A run locks the file for itself. The file is written ahead (WAL) and synced with each group of
    results, so delivered results survive a killed process and a power cut. During a run, and after
    one that was killed, ``<path>-wal`` belongs to the file; a run that ends moves its content into
    the file.

    Args:
        path: The file; it is made if it does not exist, in a folder that must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        if not isinstance(self.path, str) or not self.path:
            raise TypeError(f"the path of a checkpoint must be a text, got {describe_value(path)}")
        self._connection: sqlite3.Connection | None = None

    def open(self, node_id: str, node_type: str) -> None:
        """Open or make the file, and lock it.

        Raises:
            CheckpointError: If the file cannot be used, or belongs to another node.
        """
        if self._connection is not None:
            raise CheckpointError(f"{self._name} is in use by another run")
        with self._translate_errors("opened"):
            connection = self._connect()
            try:
                self._prepare(connection, node_id, node_type)
            except BaseException:
                connection.close()
                raise
        self._connection = connection

    def read_completed(self, start: int, limit: int) -> Sequence[Record]:
        """Return the first ``limit`` records from an index on, by index.

        Raises:
            CheckpointError: If the file is damaged there.
        """
        with self._translate_errors("read"):
            rows = self._database.execute(
                "SELECT * FROM results WHERE item >= ? ORDER BY item LIMIT ?", (start, limit)
            ).fetchall()
        return [self._read_record(row) for row in rows]

    def record(self, records: Iterable[Record]) -> None:
        """Write records in one transaction.

        Raises:
            CheckpointError: If the file cannot be written; what was recorded before stays.
        """
        with self._translate_errors("written"), _transaction(self._database, "BEGIN"):
            left = [(*record, _compute_checksum(record)) for record in records]
            # Each statement hands the interpreter to another thread and may get it back late, so a
            # group is written in as few statements as possible.
            for size in _GROUPS:
                insert = _build_insert(size)
                while len(left) >= size:
                    self._database.execute(insert, list(chain.from_iterable(left[:size])))
                    left = left[size:]

    def close(self) -> None:
        """Move everything into the file and unlock it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise CheckpointError(f"{self._name} is not open")
        return self._connection

    @property
    def _name(self) -> str:
        return f"the checkpoint {self.path!r}"

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        if os.path.isdir(self.path):
            raise CheckpointError(f"{self._name} is a folder; name a file")
        folder = os.path.dirname(self.path) or "."
        if not os.path.isdir(folder):
            raise CheckpointError(f"{self._name} is in a folder that does not exist")
        # SQLite would open a read-only file for reading. The check does not open the file, because
        # closing it again would drop the lock of another run of this process.
        effective = os.access in os.supports_effective_ids
        if os.path.exists(self.path) and not os.access(self.path, os.W_OK, effective_ids=effective):
            raise CheckpointError(f"{self._name} cannot be written, it is read-only")
        return sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)

    def _prepare(self, connection: sqlite3.Connection, node_id: str, node_type: str) -> None:
        """Lock the file, and check that it belongs to this node, or initialise it."""
        # Set before anything is read, so that the lock holds until the end of the run.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        with _transaction(connection, "BEGIN EXCLUSIVE"):
            if self._is_new(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO header VALUES (?, ?)", (node_id, node_type))
            else:
                self._check(connection, node_id, node_type)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return not objects and not _read_pragma(connection, "application_id")

    def _check(self, connection: sqlite3.Connection, node_id: str, node_type: str) -> None:
        if _read_pragma(connection, "application_id") != APPLICATION_ID:
            raise CheckpointError(f"{self._name} is a database of another application")
        if (version := _read_pragma(connection, "user_version")) > FORMAT:
            raise CheckpointError(
                f"{self._name} was written by a newer version (its format is {version}, "
                f"this version reads up to {FORMAT})"
            )
        for owner in connection.execute("SELECT node_id, node_type FROM header"):
            if owner == (node_id, node_type):
                return
            raise CheckpointError(
                f"{self._name} belongs to the node {_describe_node(*owner)}, "
                f"not to {_describe_node(node_id, node_type)}; use another file"
            )
        raise CheckpointError(f"{self._name} is damaged: it names no node")

    def _read_record(self, row: tuple[Any, ...]) -> Record:
        *fields, checksum = row
        try:
            record = Record(*fields)
            intact = checksum == _compute_checksum(record)
        except TypeError:  # a blob became a number, or a column more
            intact = False
        if not intact:
            raise CheckpointError(
                f"{self._name} is damaged: item {row[0]} is not as it was written"
            )
        return record

    @contextmanager
    def _translate_errors(self, done: str) -> Iterator[None]:
        """Raise errors of SQLite as errors of the checkpoint."""
        import sqlite3

        try:
            yield
        except (sqlite3.Error, UnicodeError, OSError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            meaning = _MEANINGS.get(code, f"cannot be {done}")
            raise CheckpointError(f"{self._name} {meaning}: {error}") from error


# By SQLite's primary result codes, which are part of its file-independent interface.
_MEANINGS = {
    5: "is in use by another run or program",  # SQLITE_BUSY
    6: "is in use by another run or program",  # SQLITE_LOCKED
    8: "cannot be written, it is read-only",  # SQLITE_READONLY
    11: "is damaged",  # SQLITE_CORRUPT
    13: "cannot be written, the disk is full",  # SQLITE_FULL
    26: "is damaged, or no checkpoint at all",  # SQLITE_NOTADB
}


def as_checkpoint(value: object) -> Checkpoint:
    """Make a checkpoint of a path, and return a checkpoint as it is.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(value, (str, os.PathLike)):
        return SqliteCheckpoint(value)
    if isinstance(value, Checkpoint) and not isinstance(value, type):
        return value
    raise TypeError(f"checkpoint must be a path or a Checkpoint, got {describe_value(value)}")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise


def _read_pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _build_insert(rows: int) -> str:
    one = f"({', '.join('?' * _COLUMNS)})"
    return f"INSERT INTO results VALUES {', '.join([one] * rows)}"


def _compute_checksum(record: Record) -> int:
    """Compute a checksum of a record, since SQLite does not notice every damaged page."""
    index, fingerprint, _, output, metadata, _ = record
    return crc32(metadata, crc32(output, crc32(fingerprint, index & 0xFFFFFFFF)))


def _describe_node(node_id: str, node_type: str) -> str:
    return f"{node_id!r} ({node_type})"
