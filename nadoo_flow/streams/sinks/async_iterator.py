"""The sink that is an async iterator."""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Never, Self, TypeVar

from reactivex import abc

from ..begun import Begun
from ..plan import Plan
from ..subscription import Subscription
from ..valve import begin_draining, check_timeout, wait_for_drained

T = TypeVar("T")

CLOSED = "the iterator is closed; make a new one to run again"


class CloseableAsyncIterator(AsyncIterator[T]):
    """Yields what a run emits; the run starts with the first item that is asked for.

    An item counts as settled when it is taken, so a slow consumer slows the source down. Use it in
    ``async with`` (or call :meth:`aclose`) wherever the loop may be left early: on return every
    task of the run has ended. A handle that is merely dropped cancels its run too, later and with
    a ResourceWarning.

    A cancelled or timed-out ``__anext__`` loses nothing: the next one goes on where it was.

    Args:
        plan: Makes the run.
    """

    def __init__(self, plan: Plan[T]) -> None:
        self._plan = plan
        self._closed = self._is_drained = False
        # The run refers to the inbox and not to this handle, so that __del__ is called when the
        # caller drops the handle.
        self._inbox: _Inbox[T] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self._describe_progress())}>"

    def _describe_progress(self) -> list[str]:
        inbox = self._inbox
        if inbox is None or self._closed:
            return ["closed" if self._closed else "not begun"]
        waiting = len(inbox.items)
        counts = {"pulled": inbox.run.pulled, "in work": self.in_work, "to be taken": waiting}
        progress = [f"{count:,} {name}" for name, count in counts.items() if count]
        state = "ended" if inbox.ended else "drained" if self.drained else "running"
        return [*progress, state]

    def __aiter__(self) -> Self:
        return self

    if not TYPE_CHECKING:  # a type checker reports it before

        def __iter__(self) -> Never:
            raise TypeError(
                f"{type(self).__name__} is an async iterator; "
                "write `async for`, or [item async for item in ...] for a list"
            )

        def __enter__(self) -> Never:
            raise TypeError(f"{type(self).__name__} is closed by awaiting; write `async with`")

        def __exit__(self, *exc_info: object) -> None:
            """Exist, as Python looks for it before it calls ``__enter__``."""

    async def __anext__(self) -> T:
        """Return the next item.

        Raises:
            StopAsyncIteration: After the last one.
            RuntimeError: If the iterator was closed, or another ``__anext__`` is still waiting.
            Exception: The error of the run, after all that had been finished before it.
        """
        inbox = self._inbox
        if inbox is None or not inbox.items:
            inbox = await self._wait_for_item()
        item = inbox.items.popleft()
        inbox.run.release()
        return item

    async def _wait_for_item(self) -> _Inbox[T]:
        """Wait for an item that can be taken, or raise what ended the run."""
        inbox = self._inbox
        if inbox is None and not self._closed:
            inbox = self._inbox = _Inbox(self._plan, is_drained=self._is_drained)
            if self._is_drained:  # by another thread just now
                inbox.run.drain()
        while inbox is not None and not self._closed:
            if inbox.items:
                return inbox
            if inbox.ended:
                raise inbox.make_end()
            await inbox.wait()
        raise RuntimeError(CLOSED)

    @property
    def dropped(self) -> int:
        """Items of an Observable that its overflow strategy has dropped so far."""
        return 0 if self._inbox is None else self._inbox.run.dropped

    @property
    def drained(self) -> bool:
        """Whether it was drained, in whatever way, and so starts nothing more."""
        inbox = self._inbox
        return self._is_drained or (inbox is not None and inbox.run.draining.has_begun)

    @property
    def in_work(self) -> int:
        """Items that are being worked on; one counts at each stage that has it in work."""
        return 0 if self._inbox is None else self._inbox.run.tasks.lanes

    def drain(self, timeout: float | None = None) -> Begun[int]:
        """Start nothing more, and end when what is in work is finished and has been iterated over.

        The source is pulled no more: an Observable is unsubscribed, and an async source that is
        waiting for its next item is cancelled there and closed. Items that were pulled and not
        started are left. All of that takes effect at the call, which may come from any thread, at
        any time, and may be repeated; a later call may only bring the timeout forward. To await
        what it returns is left to the caller, so that it can be the handler of a signal:
        ``loop.add_signal_handler(signal.SIGTERM, results.drain)``.

        Args:
            timeout: Seconds after which what is still in work is cancelled. What has been finished
                by then is delivered. No limit by default.

        Returns:
            A coroutine that waits until the run has ended and its results wait to be iterated over.
            It returns how many items were cancelled. Outputs of a stage that makes many of an item
            wait for demand as ever, so that somebody else has to iterate meanwhile.

        Raises:
            RuntimeError: From the coroutine, if a node of the run awaits it, for which the run
                waits in turn.
        """
        timeout = check_timeout(timeout)
        self._is_drained = True
        if self._inbox is not None:
            begin_draining(self._inbox.run, timeout)
        return Begun(self._wait_until_drained)

    async def _wait_until_drained(self) -> int:
        return 0 if self._inbox is None else await wait_for_drained(self._inbox.run)

    async def aclose(self) -> None:
        """Cancel what still runs and wait until it has ended; idempotent."""
        self._closed = True
        if self._inbox is not None:
            self._inbox.items.clear()
            self._inbox.run.cancel()
            self._inbox.wake()
            await self._inbox.run.join()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        inbox = getattr(self, "_inbox", None)
        if inbox is None or inbox.run.stopped or inbox.run.loop.is_closed():
            return
        # The garbage collector may call this from any thread.
        inbox.run.loop.call_soon_threadsafe(inbox.run.cancel)
        warnings.warn(
            "an async iterator was dropped before its end, its run is being cancelled; "
            "leave early with `async with` or aclose()",
            ResourceWarning,
            source=self,
            stacklevel=1,
        )


class _Inbox(abc.ObserverBase[T], Generic[T]):
    """The items that a run has emitted and that were not taken yet."""

    def __init__(self, plan: Plan[T], *, is_drained: bool = False) -> None:
        self.items: deque[T] = deque()
        self.ended = False
        self.error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_waited_for = False
        self.run: Subscription = plan.open()
        if is_drained:
            self.run.drain()
        self.run.start(plan.build, self)

    def on_next(self, value: T) -> None:
        self.items.append(value)
        if self._waiter is not None:
            self.wake()

    def on_error(self, error: BaseException) -> None:
        self.error = error
        self.on_completed()

    def on_completed(self) -> None:
        self.ended = True
        self.wake()

    def make_end(self) -> BaseException:
        """Return the exception to raise at the end of the items."""
        if isinstance(self.error, StopAsyncIteration):
            stray = RuntimeError("the run raised StopAsyncIteration")
            stray.__cause__ = self.error
            return stray
        return self.error or StopAsyncIteration()

    async def wait(self) -> None:
        """Wait until something has arrived or the run has ended."""
        if self._is_waited_for:
            raise RuntimeError("another __anext__ of this iterator is still waiting")
        self._is_waited_for = True
        self._waiter = self.run.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._is_waited_for = False

    def wake(self) -> None:
        """Have a waiting ``__anext__`` check again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
