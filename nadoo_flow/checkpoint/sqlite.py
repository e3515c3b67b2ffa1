"""A checkpoint in one SQLite file, for which nothing has to be installed or started."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from .._support.checks import describe_value
from .locked_file import OF_BATCH, LockedFile
from .protocol import Checkpoint, CheckpointError, Record

if TYPE_CHECKING:
    import sqlite3

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

    Example:
        >>> processor = BatchProcessor(str.upper, checkpoint=SqliteCheckpoint("run.sqlite"))
        >>> results = asyncio.run(processor.batch(["a", "b"]))
        >>> results = asyncio.run(processor.batch(["a", "b"]))  # or after a crash
        >>> [result.metadata for result in results]
        [{'resumed': True}, {'resumed': True}]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = LockedFile(path, OF_BATCH, FORMAT, _SCHEMA)
        self.path = self._file.path

    def open(self, node_id: str, node_type: str) -> None:
        """Open or make the file, and lock it.

        Args:
            node_id: The id of the node of the run.
            node_type: Its type.

        Raises:
            CheckpointError: If the file cannot be used, or belongs to another node.
        """
        owner = node_id, node_type
        self._file.open(
            lambda connection: connection.execute("INSERT INTO header VALUES (?, ?)", owner),
            lambda connection: self._check(connection, owner),
        )

    def read_completed(self, start: int, limit: int) -> Sequence[Record]:
        """Return the first ``limit`` records from an index on, by index.

        Args:
            start: The first index.
            limit: Most records.

        Raises:
            CheckpointError: If the file is damaged there.
        """
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT * FROM results WHERE item >= ? ORDER BY item LIMIT ?", (start, limit)
            ).fetchall()
        return [self._read_record(row) for row in rows]

    def record(self, records: Iterable[Record]) -> None:
        """Write records in one transaction.

        Args:
            records: Successes that are to be delivered next.

        Raises:
            CheckpointError: If the file cannot be written; what was recorded before stays.
        """
        rows = [(*record, _compute_checksum(record)) for record in records]
        self._file.insert("INSERT INTO results", rows)

    def close(self) -> None:
        """Move everything into the file and unlock it."""
        self._file.close()

    def _check(self, connection: sqlite3.Connection, owner: tuple[str, str]) -> None:
        for found in connection.execute("SELECT node_id, node_type FROM header"):
            if found == owner:
                return
            raise CheckpointError(
                f"{self._file.name} belongs to the node {_describe_node(*found)}, "
                f"not to {_describe_node(*owner)}; use another file"
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

    Args:
        value: The argument of the user.

    Raises:
        TypeError: If it is neither, or has methods that are async.
    """
    if isinstance(value, (str, os.PathLike)):
        return SqliteCheckpoint(value)
    if isinstance(value, Checkpoint) and not isinstance(value, type):
        for name in ("open", "read_completed", "record", "close"):
            # Nothing would await what it returns, so nothing would be recorded.
            if inspect.iscoroutinefunction(getattr(type(value), name, None)):
                raise TypeError(
                    "checkpoint must have methods that are not async, because a thread calls "
                    f"them, but {name}() of {describe_value(value)} is"
                )
        return value
    raise TypeError(f"checkpoint must be a path or a Checkpoint, got {describe_value(value)}")


def _compute_checksum(record: Record) -> int:
    """Compute a checksum of a record, since SQLite does not notice every damaged page."""
    index, fingerprint, _, output, metadata, _ = record
    return crc32(metadata, crc32(output, crc32(fingerprint, index & 0xFFFFFFFF)))


def _describe_node(node_id: str, node_type: str) -> str:
    return f"{node_id!r} ({node_type})"
