"""A checkpoint as one run uses it: from a thread of its own, told of on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ..errors import describe_error
from ..streams import Subscription
from .protocol import Checkpoint, CheckpointError, Record

T = TypeVar("T")

OnFailed = Callable[[CheckpointError], None]


class Store:
    """Calls the checkpoint of one run, one call after the other, so that no loop waits for a disk.

    What comes back is told on the loop, unless the run has stopped meanwhile. An error is told in
    any case, as a :class:`CheckpointError`.

    Args:
        run: The run.
        checkpoint: What is called.
        node_id: The node that the checkpoint must belong to.
        node_type: Its type.
    """

    def __init__(
        self, run: Subscription, checkpoint: Checkpoint, node_id: str, node_type: str
    ) -> None:
        self._run = run
        self._checkpoint = checkpoint
        self._node = (node_id, node_type)
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._is_open = False

    @property
    def name(self) -> str:
        """The checkpoint in the words of a message."""
        path = getattr(self._checkpoint, "path", None)
        return "the checkpoint" if path is None else f"the checkpoint {path!r}"

    def open(self, limit: int, then: Callable[[Sequence[Record]], None], failed: OnFailed) -> None:
        """Open the checkpoint and read its first records."""

        def opened() -> Sequence[Record]:
            self._checkpoint.open(*self._node)
            self._is_open = True
            return self._checkpoint.read_completed(0, limit)

        self._call(opened, then, failed)

    def read(
        self, start: int, limit: int, then: Callable[[Sequence[Record]], None], failed: OnFailed
    ) -> None:
        """Read records from an index on."""
        self._call(partial(self._checkpoint.read_completed, start, limit), then, failed)

    def record(
        self, records: Sequence[Record], then: Callable[[None], None], failed: OnFailed
    ) -> None:
        """Write records."""
        self._call(partial(self._checkpoint.record, records), then, failed)

    def shut(self, then: Callable[[None], None], failed: OnFailed) -> None:
        """Close the checkpoint before the run ends."""
        self._call(self._shut, then, failed)

    async def close(self, unrecorded: Callable[[], Sequence[Record]]) -> None:
        """Write what the end of the run left unrecorded, and close the checkpoint."""
        try:
            await self._run.loop.run_in_executor(self._thread, self._shut, unrecorded)
        finally:
            self._thread.shutdown(wait=False)

    def _shut(self, unrecorded: Callable[[], Sequence[Record]] = tuple) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            if records := unrecorded():
                self._checkpoint.record(records)
        finally:
            self._checkpoint.close()

    def _call(self, work: Callable[[], T], then: Callable[[T], None], failed: OnFailed) -> None:
        def answered(future: asyncio.Future[T]) -> None:
            error = future.exception()
            if error is not None:
                failed(_as_checkpoint_error(error))
            elif not self._run.stopped:
                then(future.result())

        self._run.loop.run_in_executor(self._thread, work).add_done_callback(answered)


def _as_checkpoint_error(error: BaseException) -> CheckpointError:
    if isinstance(error, CheckpointError):
        return error
    failed = CheckpointError(f"the checkpoint failed: {describe_error(error)}")
    failed.__cause__ = error
    return failed
