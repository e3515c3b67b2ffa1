"""The checkpoint of one run, called in a thread, with its answers on the event loop."""

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

OnCheckpointError = Callable[[CheckpointError], None]


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
        self._run = run
        self._checkpoint = checkpoint
        self._node = (node_id, node_type)
        self._thread = ThreadPoolExecutor(1, "checkpoint")
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

        self._call(open_and_read, then, on_error)

    def read(
        self,
        start: int,
        limit: int,
        then: Callable[[Sequence[Record]], None],
        on_error: OnCheckpointError,
    ) -> None:
        """Read records from an index on."""
        self._call(partial(self._checkpoint.read_completed, start, limit), then, on_error)

    def record(
        self, records: Sequence[Record], then: Callable[[None], None], on_error: OnCheckpointError
    ) -> None:
        """Write records."""
        self._call(partial(self._checkpoint.record, records), then, on_error)

    def shut(self, then: Callable[[None], None], on_error: OnCheckpointError) -> None:
        """Close the checkpoint before the run ends."""
        self._call(self._shut, then, on_error)

    async def close(self, unrecorded: Callable[[], Sequence[Record]]) -> None:
        """Write the records that the run had no time to write, and close the checkpoint."""
        try:
            function = partial(_ask, partial(self._shut, unrecorded))
            await self._run.loop.run_in_executor(self._thread, function)
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

    def _call(
        self, function: Callable[[], T], then: Callable[[T], None], on_error: OnCheckpointError
    ) -> None:
        def deliver_answer(future: asyncio.Future[T]) -> None:
            try:
                answer = future.result()
            except CheckpointError as error:
                on_error(error)
                return
            if not self._run.stopped:
                try:
                    then(answer)
                except BaseException as error:  # the event loop would only log it
                    self._run.fail(error)

        future = self._run.loop.run_in_executor(self._thread, _ask, function)
        future.add_done_callback(deliver_answer)


def _ask(function: Callable[[], T]) -> T:
    """Call a function of a checkpoint and raise whatever it raises as a CheckpointError.

    An asyncio future does not accept a StopIteration, so its callbacks would never be called.
    """
    try:
        return function()
    except CheckpointError:
        raise
    except BaseException as error:
        raise CheckpointError(f"the checkpoint failed: {describe_error(error)}") from error
