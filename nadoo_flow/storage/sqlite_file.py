"""SQLite files of this package: opening them, and saying what is wrong with one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from .._support.checks import describe_value

if TYPE_CHECKING:
    import sqlite3

_GROUPS = tuple(2**power for power in range(8, -1, -1))


class SqliteFile:
    """A database file of one kind.

    Args:
        path: The file; it is made if it does not exist, in a folder that must exist.
        kind: What it is called in messages, such as ``"checkpoint"``.
        application_id: Marks the files of this kind.
        version: Of its format; incremented when older versions cannot read what this one writes.
        error: The exception that says what is wrong with the file.

    Raises:
        TypeError: If the path is no text.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: str,
        application_id: int,
        version: int,
        error: type[Exception],
    ) -> None:
        self.path = os.fspath(path)
        if not isinstance(self.path, str) or not self.path:
            raise TypeError(f"the path of a {kind} must be a text, got {describe_value(path)}")
        self._kind = kind
        self._application_id = application_id
        self._version = version
        self._error = error

    @property
    def name(self) -> str:
        """The name of the file in a message."""
        return f"the {self._kind} {self.path!r}"

    def connect(self, timeout: float) -> sqlite3.Connection:
        """Open or make the file, for use in any thread.

        Args:
            timeout: Seconds that a statement waits while the file is in use elsewhere.
        """
        import sqlite3

        if os.path.isdir(self.path):
            raise self._error(f"{self.name} is a folder; name a file")
        folder = os.path.dirname(self.path) or "."
        if not os.path.isdir(folder):
            raise self._error(f"{self.name} is in a folder that does not exist")
        # SQLite would open a read-only file for reading. The check does not open the file, because
        # closing it again would drop the locks of other connections of this process.
        effective = os.access in os.supports_effective_ids
        if os.path.exists(self.path) and not os.access(self.path, os.W_OK, effective_ids=effective):
            raise self._error(f"{self.name} cannot be written, it is read-only")
        return sqlite3.connect(
            self.path, timeout=timeout, isolation_level=None, check_same_thread=False
        )

    def is_new(self, connection: sqlite3.Connection) -> bool:
        """Return whether nothing was written to the file yet, by any application."""
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return not objects and not _read_pragma(connection, "application_id")

    def initialise(self, connection: sqlite3.Connection, schema: Sequence[str]) -> None:
        """Make the tables of a new file, inside a transaction."""
        connection.execute(f"PRAGMA application_id = {self._application_id}")
        connection.execute(f"PRAGMA user_version = {self._version}")
        for statement in schema:
            connection.execute(statement)

    def check_kind(self, connection: sqlite3.Connection) -> None:
        """Check that the file is of this kind, and of a version that can be read."""
        if _read_pragma(connection, "application_id") != self._application_id:
            raise self._error(f"{self.name} is a database of another application")
        if (version := _read_pragma(connection, "user_version")) > self._version:
            raise self._error(
                f"{self.name} was written by a newer version (its format is {version}, "
                f"this version reads up to {self._version})"
            )

    @contextmanager
    def translate_errors(self, done: str) -> Iterator[None]:
        """Raise errors of SQLite as errors of the file.

        Args:
            done: What is being done to the file, such as ``"read"``.
        """
        import sqlite3

        try:
            yield
        except (sqlite3.Error, UnicodeError, OSError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            meaning = _MEANINGS.get(code, f"cannot be {done}").format(kind=self._kind)
            raise self._error(f"{self.name} {meaning}: {error}") from error


# By SQLite's primary result codes, which are part of its file-independent interface.
_MEANINGS = {
    5: "is in use by another run or program",  # SQLITE_BUSY
    6: "is in use by another run or program",  # SQLITE_LOCKED
    8: "cannot be written, it is read-only",  # SQLITE_READONLY
    11: "is damaged",  # SQLITE_CORRUPT
    13: "cannot be written, the disk is full",  # SQLITE_FULL
    26: "is damaged, or no {kind} at all",  # SQLITE_NOTADB
}


@contextmanager
def begin_transaction(connection: sqlite3.Connection, mode: str) -> Iterator[None]:
    """Commit what is done inside, or nothing of it if that raises.

    Args:
        connection: The database.
        mode: ``"DEFERRED"``, ``"IMMEDIATE"`` or ``"EXCLUSIVE"``, when the file is locked.
    """
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise


def insert_rows(
    connection: sqlite3.Connection, insert: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows in as few statements as possible.

    Each statement hands the interpreter to another thread and may get it back late.

    Args:
        connection: The database.
        insert: The statement up to its values, such as ``"INSERT INTO results"``.
        rows: All of the same length.
    """
    while rows:
        size = next(size for size in _GROUPS if size <= len(rows))
        one = f"({', '.join('?' * len(rows[0]))})"
        statement = f"{insert} VALUES {', '.join([one] * size)}"
        connection.execute(statement, list(chain.from_iterable(rows[:size])))
        rows = rows[size:]


def _read_pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
