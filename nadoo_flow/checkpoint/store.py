"""The checkpoint of one run, called in a thread, with its answers on the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..streams import Subscription
from .disk import DiskThread, OnCheckpointError
from .protocol import Checkpoint, Record


class Store:
    """Calls the checkpoint of one run in a thread, so that the event loop never waits for a disk.

    There is one call at a time. Its answer is passed to a callback on the loop, unless the run has
    stopped meanwhile. An error is always passed on, as a :class:`CheckpointError`.

    Args:
        run: The run.
        checkpoint: The checkpoint.
        node_id: The node that the checkpoint must belong to.
        node_type: Its type.
    """

    def __init__(
        self, run: Subscription, checkpoint: Checkpoint, node_id: str, node_type: str
    ) -> None:
        self._checkpoint = checkpoint
        self._node = (node_id, node_type)
        self._thread = DiskThread(run)
        self._is_open = False

    @property
    def name(self) -> str:
        """The name of the checkpoint in a message."""
        path = getattr(self._checkpoint, "path", None)
        return "the checkpoint" if path is None else f"the checkpoint {path!r}"

    def open(
        self, limit: int, then: Callable[[Sequence[Record]], None], on_error: OnCheckpointError
    ) -> None:
        """Open the checkpoint and read its first records."""

        def open_and_read() -> Sequence[Record]:
            self._checkpoint.open(*self._node)
            self._is_open = True
            return self._checkpoint.read_completed(0, limit)

        self._thread.call(open_and_read, then, on_error)

    def read(
        self,
        start: int,
        limit: int,
        then: Callable[[Sequence[Record]], None],
        on_error: OnCheckpointError,
    ) -> None:
        """Read records from an index on."""
        self._thread.call(partial(self._checkpoint.read_completed, start, limit), then, on_error)

    def record(
        self, records: Sequence[Record], then: Callable[[None], None], on_error: OnCheckpointError
    ) -> None:
        """Write records."""
        self._thread.call(partial(self._checkpoint.record, records), then, on_error)

    def shut(self, then: Callable[[None], None], on_error: OnCheckpointError) -> None:
        """Close the checkpoint before the run ends."""
        self._thread.call(self._shut, then, on_error)

    async def close(self, unrecorded: Callable[[], Sequence[Record]]) -> None:
        """Write the records that the run had no time to write, and close the checkpoint."""
        await self._thread.finish(partial(self._shut, unrecorded))

    def _shut(self, unrecorded: Callable[[], Sequence[Record]] = tuple) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            if records := unrecorded():
                self._checkpoint.record(records)
        finally:
            self._checkpoint.close()
