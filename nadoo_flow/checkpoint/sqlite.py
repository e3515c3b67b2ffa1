"""A checkpoint in one SQLite file, for which nothing has to be installed or started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from .._support.checks import describe_value
from ..storage import SqliteFile, begin_transaction, insert_rows
from .protocol import Checkpoint, CheckpointError, Record

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = 0x4E41444F
"""Marks the file as a checkpoint of this package; ``NADO`` in ASCII."""

FORMAT = 1
"""Incremented when older versions cannot read what this one writes."""

_SCHEMA = (
    "CREATE TABLE header (node_id TEXT NOT NULL, node_type TEXT NOT NULL)",
    "CREATE TABLE results (item INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, "
    "preview TEXT NOT NULL, output BLOB NOT NULL, metadata BLOB NOT NULL, "
    "execution_time REAL NOT NULL, checksum INTEGER NOT NULL)",
)


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
        self._file = SqliteFile(path, "checkpoint", APPLICATION_ID, FORMAT, CheckpointError)
        self.path = self._file.path
        self._connection: sqlite3.Connection | None = None

    def open(self, node_id: str, node_type: str) -> None:
        """Open or make the file, and lock it.

        Raises:
            CheckpointError: If the file cannot be used, or belongs to another node.
        """
        if self._connection is not None:
            raise CheckpointError(f"{self._file.name} is in use by another run")
        with self._file.translate_errors("opened"):
            connection = self._file.connect(timeout=0)
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
        with self._file.translate_errors("read"):
            rows = self._database.execute(
                "SELECT * FROM results WHERE item >= ? ORDER BY item LIMIT ?", (start, limit)
            ).fetchall()
        return [self._read_record(row) for row in rows]

    def record(self, records: Iterable[Record]) -> None:
        """Write records in one transaction.

        Raises:
            CheckpointError: If the file cannot be written; what was recorded before stays.
        """
        rows = [(*record, _compute_checksum(record)) for record in records]
        with (
            self._file.translate_errors("written"),
            begin_transaction(self._database, "DEFERRED"),
        ):
            insert_rows(self._database, "INSERT INTO results", rows)

    def close(self) -> None:
        """Move everything into the file and unlock it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise CheckpointError(f"{self._file.name} is not open")
        return self._connection

    def _prepare(self, connection: sqlite3.Connection, node_id: str, node_type: str) -> None:
        """Lock the file, and check that it belongs to this node, or initialise it."""
        # Set before anything is read, so that the lock holds until the end of the run.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        with begin_transaction(connection, "EXCLUSIVE"):
            if self._file.is_new(connection):
                self._file.initialise(connection, _SCHEMA)
                connection.execute("INSERT INTO header VALUES (?, ?)", (node_id, node_type))
            else:
                self._check(connection, node_id, node_type)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    def _check(self, connection: sqlite3.Connection, node_id: str, node_type: str) -> None:
        self._file.check_kind(connection)
        for owner in connection.execute("SELECT node_id, node_type FROM header"):
            if owner == (node_id, node_type):
                return
            raise CheckpointError(
                f"{self._file.name} belongs to the node {_describe_node(*owner)}, "
                f"not to {_describe_node(node_id, node_type)}; use another file"
            )
        raise CheckpointError(f"{self._file.name} is damaged: it names no node")

    def _read_record(self, row: tuple[Any, ...]) -> Record:
        *fields, checksum = row
        try:
            record = Record(*fields)
            intact = checksum == _compute_checksum(record)
        except TypeError:  # a blob became a number, or a column more
            intact = False
        if not intact:
            raise CheckpointError(
                f"{self._file.name} is damaged: item {row[0]} is not as it was written"
            )
        return record


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


def _compute_checksum(record: Record) -> int:
    """Compute a checksum of a record, since SQLite does not notice every damaged page."""
    index, fingerprint, _, output, metadata, _ = record
    return crc32(metadata, crc32(output, crc32(fingerprint, index & 0xFFFFFFFF)))


def _describe_node(node_id: str, node_type: str) -> str:
    return f"{node_id!r} ({node_type})"
