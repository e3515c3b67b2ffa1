"""The records of a chain or a pipeline in one SQLite file: what each part made of each item."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from .locked_file import OF_CHAIN, OF_PIPELINE, LockedFile
from .protocol import CheckpointError

if TYPE_CHECKING:
    import sqlite3

FORMAT = 1
"""Incremented when older versions cannot read what this one writes."""

_SCHEMA = (
    "CREATE TABLE header (node_id TEXT NOT NULL, node_type TEXT NOT NULL, work TEXT NOT NULL)",
    "CREATE TABLE steps (stage TEXT NOT NULL, item TEXT NOT NULL, output INTEGER NOT NULL, "
    "fingerprint BLOB NOT NULL, preview TEXT NOT NULL, value BLOB NOT NULL, "
    "metadata BLOB NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (stage, item, output))",
)


class StageName(NamedTuple):
    """What identifies a stage of a chain.

    Attributes:
        node_id: Its id.
        node_type: Its type.
        work: The name of what it does with an item, such as the id of its child.
    """

    node_id: str
    node_type: str
    work: str

    def __str__(self) -> str:
        work = f" of {self.work}" if self.work else ""
        return f"{self.node_id!r} ({self.node_type}{work})"


class StepRecord(NamedTuple):
    """The record of what a stage made of an item.

    Attributes:
        stage: The position of the stage in the chain, and of the route in it.
        item: Identifies the item among those of the stage.
        output: The position of the output among those of the item.
        fingerprint: The digest of the input, where the item is not the output of a recorded one.
        preview: The beginning of the input, for messages.
        value: The output, encoded.
        metadata: What was used for it, as JSON.
    """

    stage: str
    item: str
    output: int
    fingerprint: bytes
    preview: str
    value: bytes
    metadata: bytes


class StepQuery(NamedTuple):
    """Asks for the records of an item in a stage.

    Attributes:
        stage: The stage.
        item: The item.
        start: The position of the first output.
        limit: Most records to read.
    """

    stage: str
    item: str
    start: int
    limit: int


class StepsFile:
    """Keeps the successes of each stage of a chain in an SQLite file.

    Its methods are called one after the other.

    Args:
        path: The file; it is made if it does not exist, in a folder that must exist.
        kind: Marks what it is the checkpoint of: ``OF_CHAIN``, or ``OF_PIPELINE``, whose stages are
            the nodes of the pipeline.
    """

    def __init__(self, path: str | os.PathLike[str], kind: int = OF_CHAIN) -> None:
        self._file = LockedFile(path, kind, FORMAT, _SCHEMA)
        self._words = ("node", "pipeline") if kind == OF_PIPELINE else ("stage", "chain")
        self.name = self._file.name

    def open(self, stages: Sequence[StageName]) -> dict[str, int]:
        """Open or make the file, lock it, and return of how many items each stage has records.

        Args:
            stages: Those of the chain, in its order.

        Raises:
            CheckpointError: If the file cannot be used, or belongs to another chain.
        """
        self._file.open(
            lambda connection: connection.executemany(
                "INSERT INTO header VALUES (?, ?, ?)", stages
            ),
            lambda connection: self._check(connection, stages),
        )
        with self._file.reading() as database:
            counts = "SELECT stage, count(DISTINCT item) FROM steps GROUP BY stage"
            return dict(database.execute(counts))

    def read(self, queries: Iterable[StepQuery]) -> list[list[StepRecord]]:
        """Return the records that each query asks for, by the positions of the outputs.

        Args:
            queries: What to read.

        Raises:
            CheckpointError: If the file is damaged there.
        """
        select = (
            "SELECT * FROM steps WHERE stage = ? AND item = ? AND output >= ? "
            "ORDER BY output LIMIT ?"
        )
        with self._file.reading() as database:
            found = [database.execute(select, query).fetchall() for query in queries]
        return [[self._read_record(row) for row in rows] for rows in found]

    def write(self, records: Iterable[StepRecord]) -> None:
        """Write records in one transaction.

        Args:
            records: What to write: all of it, or nothing if that fails.

        Raises:
            CheckpointError: If the file cannot be written; what was recorded before stays.
        """
        rows = [(*record, _compute_checksum(record)) for record in records]
        self._file.insert("INSERT OR REPLACE INTO steps", rows)

    def close(self) -> None:
        """Move everything into the file and unlock it."""
        self._file.close()

    def _check(self, connection: sqlite3.Connection, stages: Sequence[StageName]) -> None:
        rows = connection.execute("SELECT node_id, node_type, work FROM header ORDER BY rowid")
        found = [StageName(*row) for row in rows]
        if not found:
            raise CheckpointError(f"{self.name} is damaged: it names no stage")
        if found != list(stages):
            raise CheckpointError(
                f"{self.name} belongs to the {self._describe(found)}, "
                f"not to the {self._describe(stages)}; use another file"
            )

    def _describe(self, stages: Sequence[StageName]) -> str:
        return f"{self._words[len(stages) > 1]} {' | '.join(map(str, stages))}"

    def _read_record(self, row: tuple[Any, ...]) -> StepRecord:
        *fields, checksum = row
        try:
            record = StepRecord(*fields)
            intact = checksum == _compute_checksum(record)
        except (TypeError, AttributeError):  # a blob became a number, or a column more
            intact = False
        if not intact:
            raise CheckpointError(
                f"{self.name} is damaged: item {row[1]} of stage {row[0]} is not as it was written"
            )
        return record


def _compute_checksum(record: StepRecord) -> int:
    """Compute a checksum of a record, since SQLite does not notice every damaged page."""
    place = f"{record.stage}/{record.item}/{record.output}".encode()
    return crc32(record.metadata, crc32(record.value, crc32(record.fingerprint, crc32(place))))
