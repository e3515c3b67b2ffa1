"""The sink that awaits the end of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import abc

from ..plan import Plan
from ..subscription import Subscription

T = TypeVar("T")


async def drain(plan: Plan[T], on_next: Callable[[T], object]) -> Subscription:
    """Run to the end, handing over each item as it comes; no task of the run is left on return.

    Returns:
        The run that has ended, for its counts.

    Args:
        plan: Makes the run.
        on_next: Called with each item; the item is settled when it returns.

    Raises:
        BaseException: The error that ended the run. A cancellation cancels the run and is raised
            after the run has ended.
    """
    run = plan.open()
    sink = _Sink(run, on_next)
    run.start(plan.build, sink)
    try:
        await sink.ended
    except asyncio.CancelledError:
        run.cancel()
        await run.join()
        raise
    if sink.error is not None:
        raise sink.error
    return run


class _Sink(abc.ObserverBase[T], Generic[T]):
    def __init__(self, run: Subscription, on_next: Callable[[T], object]) -> None:
        self._release = run.release
        self._on_next = on_next
        self.ended = run.loop.create_future()
        self.error: BaseException | None = None

    def on_next(self, value: T) -> None:
        self._on_next(value)
        self._release()

    def on_error(self, error: BaseException) -> None:
        self.error = error
        self.on_completed()

    def on_completed(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
