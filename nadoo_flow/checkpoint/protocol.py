"""The interface of a checkpoint, and the records that it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from ..results.batch_result import BatchResult


class CheckpointError(Exception):
    """A checkpoint cannot be used, or belongs to another node or other inputs.

    Attributes:
        unrecorded: Results of finished items that could not be recorded, so that expensive work is
            not lost with the disk. They were not delivered, and would run again.

    Args:
        message: What is wrong, in words.

    Example:
        >>> first = BatchProcessor(FunctionNode(str.upper, "first"), checkpoint="run.sqlite")
        >>> results = asyncio.run(first.batch(["a", "b"]))
        >>> other = BatchProcessor(FunctionNode(str.lower, "other"), checkpoint="run.sqlite")
        >>> try:
        ...     asyncio.run(other.batch(["a", "b"]))
        ... except CheckpointError:
        ...     print("recorded for another node")
        recorded for another node
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.unrecorded: list[BatchResult] = []


class Record(NamedTuple):
    """The record of one success.

    Attributes:
        item: The index of the input in its batch.
        fingerprint: The digest of the input; see :class:`Fingerprint`.
        preview: The beginning of the input, for messages.
        output: The output, encoded by the codec of the batch.
        metadata: The metadata, as JSON.
        execution_time: Seconds that the item took.

    Example:
        >>> checkpoint = SqliteCheckpoint("run.sqlite")
        >>> results = asyncio.run(BatchProcessor(str.upper, checkpoint=checkpoint).batch(["a"]))
        >>> checkpoint.open("upper", "FunctionNode")
        >>> [(record.item, record.output) for record in checkpoint.read_completed(0, 10)]
        [(0, b'"A"')]
        >>> checkpoint.close()
    """

    item: int
    fingerprint: bytes
    preview: str
    output: bytes
    metadata: bytes
    execution_time: float


@runtime_checkable
class Checkpoint(Protocol):
    """Keeps the successes of one batch; write a class with these methods for another store.

    A run calls all methods one after the other, in one thread that is not the thread of the event
    loop, so they may block, and none may be async. ``close`` follows every ``open`` that did not
    raise. An exception ends the run as a :class:`CheckpointError`.

    Example:
        >>> class InMemory:
        ...     def __init__(self):
        ...         self.records = {}
        ...     def open(self, node_id, node_type): ...
        ...     def read_completed(self, start, limit):
        ...         later = sorted(item for item in self.records if item >= start)
        ...         return [self.records[item] for item in later[:limit]]
        ...     def record(self, records):
        ...         self.records |= {record.item: record for record in records}
        ...     def close(self): ...
        >>> processor = BatchProcessor(str.upper, checkpoint=InMemory())
        >>> results = asyncio.run(processor.batch(["a", "b"]))
        >>> [result.metadata for result in asyncio.run(processor.batch(["a", "b"]))]
        [{'resumed': True}, {'resumed': True}]
    """

    def open(self, node_id: str, node_type: str) -> None:
        """Prepare for one run; raise if the records belong to another node, or are in use.

        Args:
            node_id: The id of the node of the run.
            node_type: Its type.
        """

    def read_completed(self, start: int, limit: int) -> Sequence[Record]:
        """Return the first ``limit`` records whose index is at least ``start``, by index.

        Fewer than ``limit`` records mean that there are no more.

        Args:
            start: The first index.
            limit: Most records.
        """

    def record(self, records: Iterable[Record]) -> None:
        """Keep all of the records or none; once this returns they survive the process.

        Args:
            records: Successes that are to be delivered next.
        """

    def close(self) -> None:
        """Release everything that ``open`` has acquired."""
