"""An async iterable as a source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from functools import partial
from typing import Generic, TypeVar

from reactivex import abc

from ..tasks import is_being_cancelled
from .pump import Indexed
from .subscription import Subscription

T = TypeVar("T")


class AsyncPump(Generic[T]):
    """Pulls an async iterable, in a task of the run, whenever the run has demand."""

    def __init__(
        self, run: Subscription, source: AsyncIterable[T], observer: abc.ObserverBase[Indexed[T]]
    ) -> None:
        self._run = run
        self._source = source
        self._observer = observer
        self._waiter: asyncio.Future[None] | None = None
        run.on_demand(self._wake)

    async def pump(self) -> None:
        """Emit until the source ends."""
        run, on_next = self._run, self._observer.on_next
        iterator: AsyncIterator[T] | None = None
        # A consumer may have had enough in on_next; the cancel only comes with the next await.
        while not is_being_cancelled():
            await self._demand()
            try:
                iterator = iterator or self._opened()
                value = await anext(iterator)
            except StopAsyncIteration:
                signal = self._observer.on_completed
                break
            except Exception as error:
                signal = partial(self._observer.on_error, error)
                break
            except asyncio.CancelledError:
                if is_being_cancelled():
                    raise
                stray = RuntimeError("the inputs raised a CancelledError that nobody asked for")
                signal = partial(self._observer.on_error, stray)
                break
            if run.stopped:
                return
            index = run.pulled
            run.pulled = index + 1
            run.outstanding += 1
            on_next((index, value))
        else:
            return
        if not run.stopped:
            signal()

    async def _demand(self) -> None:
        run = self._run
        while run.outstanding >= run.window:
            self._waiter = run.loop.create_future()
            await self._waiter
        while run.turn.spent():  # noqa: ASYNC110  # it is the next turn of the loop that is awaited
            await asyncio.sleep(0)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _opened(self) -> AsyncIterator[T]:
        iterator = aiter(self._source)
        close = getattr(iterator, "aclose", None)
        if close is not None:
            self._run.on_end(close)
        return iterator
