"""What a checkpoint is asked, and what it keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ..results.batch_result import BatchResult


class CheckpointError(Exception):
    """A checkpoint cannot be used, or belongs to something else.

    Attributes:
        unrecorded: Results that had been finished and could not be recorded, so that what was paid
            for is not lost with the disk. They were not delivered, and would run again.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.unrecorded: list[BatchResult] = []


class Record(NamedTuple):
    """One success, as it is kept.

    Attributes:
        item: The index of the input in its batch.
        fingerprint: Of the input; see :class:`Fingerprint`.
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
    """Keeps the successes of one batch; write one of your own for another kind of store.

    A run calls all methods from one thread that is not that of the event loop, one after the
    other, so they may block. ``close`` follows every ``open`` that did not raise. An exception
    ends the run as a :class:`CheckpointError`.
    """

    def open(self, node_id: str, node_type: str) -> None:
        """Get ready for one run, or refuse: what is kept may belong to another node or run."""

    def read_completed(self, start: int, limit: int) -> Sequence[Record]:
        """Return the first ``limit`` records whose index is at least ``start``, by index.

        Fewer than ``limit`` mean that there are no more.
        """

    def record(self, records: Iterable[Record]) -> None:
        """Keep records, all or none, so that they survive the process from the return on."""

    def close(self) -> None:
        """Let go of everything."""


class Codec(Protocol):
    """Turns outputs into bytes and back; what comes back must equal what went in.

    With a codec of one's own, inputs that have no other fingerprint are encoded by it for one.
    Equal inputs must then give the same bytes.
    """

    def encode(self, value: Any) -> bytes:
        """Turn an output into bytes, or raise."""

    def decode(self, data: bytes) -> Any:
        """Turn bytes back into the output that they were made of."""
