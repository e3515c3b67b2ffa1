"""An async iterable as a source: iterated and closed in one task and one context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import partial
from typing import Generic, TypeVar, cast

from reactivex import abc

from ..._support.report_error import report_error
from ..._support.tasks import OwnedTask, is_closing, take_strays_off
from ..direct import Indexed
from ..draining import DrainPart
from ..subscription import Subscription
from .pump import as_source_error

T = TypeVar("T")

CLOSING = "a source raised while it was being closed"


class AsyncPump(DrainPart, Generic[T]):
    """Pulls an async iterable, in a task of the run, whenever the run has demand."""

    def __init__(
        self, run: Subscription, source: AsyncIterable[T], observer: abc.ObserverBase[Indexed[T]]
    ) -> None:
        self._run = run
        self._source = source
        self._observer = observer
        self._iterator: AsyncIterator[T] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False
        self._task = run.tasks.spawn_source(self._pump)
        run.set_pump(self._wake)

    def dispose(self) -> None:
        """Emit nothing more, and no end either."""
        self._has_ended = True
        self._run.tasks.withdraw(self._task)

    def stop_starting(self) -> None:
        """Pull nothing more, and leave what is being pulled."""
        self._run.source_ended = True
        self._run.tasks.withdraw(self._task)

    def settle_unstarted(self) -> None:
        """Emit the end."""
        self._end(self._observer.on_completed)

    def _end(self, signal: Callable[[], None]) -> None:
        if not self._has_ended:
            self._has_ended = True
            signal()

    async def _pump(self) -> None:
        """Emit until the source ends, and close it when no lane is left that may use it."""
        run, task = self._run, cast("OwnedTask[None]", asyncio.current_task())
        try:
            signal = await self._emit(task)
            if not run.stopped:
                self._end(signal)
        except asyncio.CancelledError:
            if not task.ended_by_owner:
                run.fail(asyncio.CancelledError("a task of the run was cancelled from outside"))
        except GeneratorExit:
            raise
        except BaseException as error:
            run.fail_fatally(error)
        if task.ended_by_owner:
            await run.tasks.wait_for_lanes()
        await self._close(task)

    async def _emit(self, task: OwnedTask[None]) -> Callable[[], None]:
        """Emit within the demand, and return how to signal the end of the source."""
        run, on_next = self._run, self._observer.on_next
        # on_next may have ended this task, whose cancellation arrives only with the next await.
        while not task.is_to_end:
            await self._wait_for_demand(task)
            try:
                if self._iterator is None:
                    self._iterator = aiter(self._source)
                value = await anext(self._iterator)
            except StopAsyncIteration:
                run.source_ended = True
                return self._observer.on_completed
            except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                if _is_the_end(error, task):
                    raise
                if run.draining.has_begun and not run.stopped:
                    report_error(run.loop, CLOSING, error)
                    break
                return partial(self._observer.on_error, as_source_error(error))
            if task.ended_by_owner:
                break
            index = run.pulled
            run.pulled = index + 1
            run.outstanding += 1
            on_next((index, value))
        raise asyncio.CancelledError

    async def _wait_for_demand(self, task: OwnedTask[None]) -> None:
        run = self._run
        while True:
            if task.has_strays:
                await take_strays_off(task)
            try:
                if run.outstanding >= run.limit:
                    self._waiter = run.loop.create_future()
                    await self._waiter
                elif run.turn.is_spent():
                    await run.turn.create_waiter()
                else:
                    return
            except asyncio.CancelledError:
                if task.is_to_end:
                    raise

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _close(self, task: OwnedTask[None]) -> None:
        task.let_finish()
        await take_strays_off(task)
        try:
            close = getattr(self._iterator, "aclose", None)
            if close is not None:
                await close()
        except (Exception, asyncio.CancelledError) as error:
            report_error(self._run.loop, CLOSING, error)


def _is_the_end(error: BaseException, task: OwnedTask[None]) -> bool:
    if isinstance(error, GeneratorExit):
        return is_closing()
    return isinstance(error, asyncio.CancelledError) and task.is_to_end
