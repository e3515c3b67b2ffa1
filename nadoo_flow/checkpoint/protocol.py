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
    loop, so they may block. ``close`` follows every ``open`` that did not raise. An exception ends
    the run as a :class:`CheckpointError`.
    """

    def open(self, node_id: str, node_type: str) -> None:
        """Prepare for one run; raise if the records belong to another node, or are in use."""

    def read_completed(self, start: int, limit: int) -> Sequence[Record]:
        """Return the first ``limit`` records whose index is at least ``start``, by index.

        Fewer than ``limit`` records mean that there are no more.
        """

    def record(self, records: Iterable[Record]) -> None:
        """Keep all of the records or none; once this returns they survive the process."""

    def close(self) -> None:
        """Release everything that ``open`` has acquired."""
