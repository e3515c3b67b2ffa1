"""An SQLite file that one run locks for itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..storage import SqliteFile, begin_transaction, insert_rows
from .protocol import CheckpointError

if TYPE_CHECKING:
    import sqlite3

OF_BATCH = 0x4E41444F
"""Marks the checkpoint of a batch; ``NADO`` in ASCII."""

OF_CHAIN = 0x4E414443
"""Marks the checkpoint of a chain; ``NADC`` in ASCII."""

OF_PIPELINE = 0x4E414450
"""Marks the checkpoint of a batch that records each node of a pipeline; ``NADP`` in ASCII."""

_KINDS = {
    OF_BATCH: "a batch",
    OF_CHAIN: "a chain of stages",
    OF_PIPELINE: "a batch with checkpoint_each=True",
}


class LockedFile:
    """A file in which a run keeps records.

    It is written ahead (WAL) and synced with each transaction, so what was written survives a
    killed process and a power cut.

    Args:
        path: The file; it is made if it does not exist, in a folder that must exist.
        application_id: Marks the files of its kind.
        version: Of its format; incremented when older versions cannot read what this one writes.
        schema: The statements that make its tables.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        application_id: int,
        version: int,
        schema: Sequence[str],
    ) -> None:
        self._file = SqliteFile(path, "checkpoint", application_id, version, CheckpointError)
        self.path, self.name = self._file.path, self._file.name
        self._application_id = application_id
        self._schema = schema
        self._connection: sqlite3.Connection | None = None

    def open(
        self,
        initialise: Callable[[sqlite3.Connection], object],
        check: Callable[[sqlite3.Connection], object],
    ) -> None:
        """Open or make the file, and lock it.

        Args:
            initialise: Called when the tables were made.
            check: Called if there are tables; raises if they belong to something else.

        Raises:
            CheckpointError: If the file cannot be used.
        """
        if self._connection is not None:
            raise CheckpointError(f"{self.name} is in use by another run")
        with self._file.translate_errors("opened"):
            connection = self._file.connect(timeout=0)
            try:
                self._prepare(connection, initialise, check)
            except BaseException:
                connection.close()
                raise
        self._connection = connection

    def insert(self, insert: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows in one transaction.

        Args:
            insert: The statement up to its values.
            rows: All of the same length.

        Raises:
            CheckpointError: If the file cannot be written; what was written before stays.
        """
        with (
            self._file.translate_errors("written"),
            begin_transaction(self.database, "DEFERRED"),
        ):
            insert_rows(self.database, insert, rows)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the database, to be read.

        Raises:
            CheckpointError: If that fails inside.
        """
        with self._file.translate_errors("read"):
            yield self.database

    def close(self) -> None:
        """Move everything into the file and unlock it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def database(self) -> sqlite3.Connection:
        """The open database."""
        if self._connection is None:
            raise CheckpointError(f"{self.name} is not open")
        return self._connection

    def _prepare(
        self,
        connection: sqlite3.Connection,
        initialise: Callable[[sqlite3.Connection], object],
        check: Callable[[sqlite3.Connection], object],
    ) -> None:
        # Set before anything is read, so that the lock holds until the end of the run.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        with begin_transaction(connection, "EXCLUSIVE"):
            if self._file.is_new(connection):
                self._file.initialise(connection, self._schema)
                initialise(connection)
            else:
                self._check_kind(connection)
                check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    def _check_kind(self, connection: sqlite3.Connection) -> None:
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        if found != self._application_id and found in _KINDS:
            raise CheckpointError(
                f"{self.name} is that of {_KINDS[found]}, not of {_KINDS[self._application_id]}; "
                "use another file"
            )
        self._file.check_kind(connection)
