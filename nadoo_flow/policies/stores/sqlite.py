"""The entries of a cache in one SQLite file."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zlib import crc32

from typing_extensions import override

from ..._support.per_loop import PerLoop
from ...storage import SqliteFile, begin_transaction, insert_rows
from .encoded import EncodedStore
from .entry import CacheError
from .grouped_calls import GroupedCalls

APPLICATION_ID = 0x4E414443
"""Marks the file as a cache of this package; ``NADC`` in ASCII."""

FORMAT = 1
"""Incremented when older versions cannot read what this one writes."""

PATIENCE = 30.0
"""Seconds that a statement waits while others write to the file."""

_MOST_READ = 256
_SCHEMA = (
    "CREATE TABLE entries "
    "(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, checksum INTEGER NOT NULL)",
)


class SqliteStore(EncodedStore):
    """Keeps entries in an SQLite file, for any number of runs, threads and processes at once.

    The file is written ahead (WAL) and synced with each group of entries, so that what was written
    survives a killed process and a power cut. Each event loop has a connection, and a thread that
    waits for the disk.

    Args:
        path: The file; it is made if it does not exist, in a folder that must exist.
        ttl: Seconds after which an entry is not used any more, by the wall clock.
    """

    def __init__(self, path: str | os.PathLike[str], ttl: float | None) -> None:
        super().__init__(ttl)
        self._file = SqliteFile(path, "cache", APPLICATION_ID, FORMAT, CacheError)
        # It is opened anew on each event loop, and in other processes.
        self._file.path = os.path.abspath(self._file.path)
        self._lines: PerLoop[_Line] = PerLoop()

    @property
    @override
    def name(self) -> str:
        return self._file.name

    async def _load(self, key: str) -> bytes | None:
        return await self._lines.get(self._make_line).reading.request(key)

    async def _save(self, key: str, data: bytes) -> None:
        await self._lines.get(self._make_line).writing.request((key, data))

    def _make_line(self) -> _Line:
        return _Line(self._file)


class _Line:
    """What one event loop asks of the file, in a thread that ends when this is garbage."""

    def __init__(self, file: SqliteFile) -> None:
        thread = ThreadPoolExecutor(1, "cache")
        database = _Database(file)
        self.reading = GroupedCalls(database.read, thread)
        self.writing = GroupedCalls(database.write, thread)


class _Database:
    """A connection to the file, for one thread.

    It is opened when it is used, and closed when this is garbage, or the interpreter exits.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def read(self, keys: list[str]) -> Sequence[bytes | CacheError | None]:
        """Return the values of keys."""
        connection = self._open()
        found: dict[str, bytes | CacheError] = {}
        with self._file.translate_errors("read"):
            for start in range(0, len(keys), _MOST_READ):
                some = keys[start : start + _MOST_READ]
                marks = ", ".join("?" * len(some))
                select = f"SELECT key, value, checksum FROM entries WHERE key IN ({marks})"
                for row in connection.execute(select, some).fetchall():
                    found[row[0]] = self._check(*row)
        return [found.get(key) for key in keys]

    def write(self, entries: list[tuple[str, bytes]]) -> Sequence[None]:
        """Write entries in one transaction."""
        connection = self._open()
        rows = [(key, value, _compute_checksum(key, value)) for key, value in entries]
        with (
            self._file.translate_errors("written"),
            begin_transaction(connection, "IMMEDIATE"),
        ):
            insert_rows(connection, "INSERT OR REPLACE INTO entries", rows)
        return [None] * len(entries)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

            # Of some who make the file at the same time all but one may be turned away at once.
            retrying = Retrying(
                retry=retry_if_exception(_is_busy),
                stop=stop_after_delay(PATIENCE),
                wait=wait_random(0, 0.05),
                reraise=True,
            )
            with self._file.translate_errors("opened"):
                self._connection = retrying(self._connect)
            weakref.finalize(self, _close, self._connection, os.getpid())
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = self._file.connect(PATIENCE)
        try:
            if self._file.is_new(connection):
                self._make_tables(connection)
            self._file.check_kind(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        with begin_transaction(connection, "IMMEDIATE"):
            if self._file.is_new(connection):  # another may have been faster
                self._file.initialise(connection, _SCHEMA)

    def _check(self, key: str, value: Any, checksum: Any) -> bytes | CacheError:
        if isinstance(value, bytes) and checksum == _compute_checksum(key, value):
            return value
        return CacheError(f"{self._file.name} is damaged: an entry is not as it was written")


def _close(connection: sqlite3.Connection, process: int) -> None:
    """Close a connection; the last one to a file moves everything into it."""
    if os.getpid() == process:
        connection.close()
    else:
        _inherited.append(connection)


_inherited: list[sqlite3.Connection] = []
"""Connections of the process that forked this one, which must not be touched here."""


def _is_busy(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _compute_checksum(key: str, value: bytes) -> int:
    """Compute a checksum of an entry, since SQLite does not notice every damaged page."""
    return crc32(value, crc32(key.encode()))
