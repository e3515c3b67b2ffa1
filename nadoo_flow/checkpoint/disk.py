"""A thread in which the checkpoint of one run is called, with its answers on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ..errors import describe_error
from ..streams import Subscription
from .protocol import CheckpointError

T = TypeVar("T")

OnCheckpointError = Callable[[CheckpointError], None]


class DiskThread:
    """Calls functions one after the other, so that the event loop never waits for a disk.

    Args:
        run: The run.
    """

    def __init__(self, run: Subscription) -> None:
        self._run = run
        self._thread = ThreadPoolExecutor(1, "checkpoint")

    def call(
        self, function: Callable[[], T], then: Callable[[T], None], on_error: OnCheckpointError
    ) -> None:
        """Call a function in the thread.

        Args:
            function: The function.
            then: Called on the loop with its answer, unless the run has stopped meanwhile.
            on_error: Called on the loop with its error, in any case.
        """

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

    async def finish(self, function: Callable[[], object]) -> None:
        """Call a last function, and end the thread.

        Raises:
            CheckpointError: If the function fails.
        """
        try:
            await self._run.loop.run_in_executor(self._thread, partial(_ask, function))
        finally:
            self._thread.shutdown(wait=False)


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
