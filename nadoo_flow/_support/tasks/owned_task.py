"""A task that only its owner ends, whatever the code inside does to its cancellation count."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, TypeVar
from weakref import ref

from ..report_error import report_error

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a clean-up which has begun earlier may take before the end of the task interrupts
it."""


class OwnedTask(asyncio.Task[T]):
    """A task that its owner ends with :meth:`end`.

    The code inside may cancel its own task and leave the cancellation count raised, as older
    timeout helpers do, or take a cancellation back, as ``asyncio.timeout`` does. So neither the
    count nor a CancelledError says whether the task is to end; the attributes below do.

    Args:
        work: The coroutine to run. A :class:`Driver`, or a lane, steps the code inside it and
            calls :meth:`note_thrown` for each CancelledError that it throws in.
        loop: The running loop; not its task factory, since an eager one would run at once.
        context: The context to run in; a copy of the current one by default.
        is_caller_inside: Returns whether the caller of :meth:`cancel` belongs to the work itself,
            such as the timer of a timeout. By default every caller does.

    Attributes:
        ended_by_owner: Whether the owner wants it to end.
        cancelled_from_outside: Whether code that is not part of the work cancelled it, such as
            the end of ``asyncio.run``.
        has_strays: Whether its cancellation count may have been left raised; see
            :func:`take_strays_off`.
        dropped: The KeyboardInterrupt or SystemExit of a future that the work awaited and never
            got, because asyncio threw a cancellation in its place.
    """

    __slots__ = (
        "_is_caller_inside",
        "_is_closing",
        "_is_delivered",
        "_is_on_its_way",
        "_mark",
        "_may_finish",
        "cancelled_from_outside",
        "dropped",
        "ended_by_owner",
        "has_strays",
    )

    def __init__(
        self,
        work: Coroutine[Any, Any, T],
        *,
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
        is_caller_inside: Callable[[], bool] | None = None,
    ) -> None:
        self.ended_by_owner = False
        self.cancelled_from_outside = False
        self.has_strays = False
        self.dropped: BaseException | None = None
        self._is_caller_inside = is_caller_inside
        self._is_closing = False
        self._is_delivered = False
        self._is_on_its_way = False
        self._may_finish = False
        self._mark: ref[_Mark] | None = None
        super().__init__(work, loop=loop, context=context)

    @property
    def is_to_end(self) -> bool:
        """Whether a CancelledError means the end of the task, and not only of the work inside."""
        return (self.ended_by_owner or self.cancelled_from_outside) and not self._may_finish

    def cancel(self, msg: object = None) -> bool:
        """Request a cancellation, as of any task."""
        if self._is_caller_inside is not None and not self._is_caller_inside():
            self.cancelled_from_outside = True
        self.has_strays = self._is_on_its_way = True
        return super().cancel(msg)

    def cancel_as_work(self) -> None:
        """Request a cancellation as code of the work does, wherever the caller belongs."""
        self.has_strays = self._is_on_its_way = True
        _cancel_safely(self, super().cancel)

    def uncancel(self) -> int:
        """Take a cancellation back, as of any task."""
        left = super().uncancel()
        if not left:
            self.cancelled_from_outside = False
        return left

    def end(self) -> None:
        """Cancel the task for good; idempotent, so that its clean-up is not broken off."""
        if self.ended_by_owner or self.done():
            return
        self.ended_by_owner = True
        self.deliver()
        if not (self._is_delivered or self._may_finish):
            timer = self.get_loop().call_later(PATIENCE, self._insist)
            self.add_done_callback(lambda _: timer.cancel())

    def deliver(self) -> None:
        """Throw the end into the work, unless that was done; called whenever the work suspends.

        While the work is unwinding an earlier cancellation the end waits, so that the ``finally``
        blocks can finish. It also waits for a cancellation that was requested and has not arrived,
        because the work could not distinguish the two, and for :meth:`close_undisturbed`. If the
        work takes the end back, as a timeout may, the end is delivered again.
        """
        if self._is_closing and not self._is_delivered:
            return
        is_waited_for = self._is_delivered or self._is_unwinding or self._is_on_its_way
        if not (self._may_finish or (self.cancelling() and is_waited_for)):
            self._insist()

    def note_thrown(self, error: asyncio.CancelledError, awaited: object) -> None:
        """Remember a cancellation that is thrown into the work, to see when it was handled.

        Args:
            error: The cancellation.
            awaited: What the work awaited.
        """
        self._is_on_its_way = False
        self.dropped = self.dropped or _find_fatal(awaited)
        mark = _Mark()
        # A block of the work that handles the exception keeps it alive, and with it the mark.
        vars(error)["nadoo_flow_mark"] = mark
        self._mark = ref(mark)

    async def close_undisturbed(self, close: Callable[[], Awaitable[object]]) -> None:
        """Close something in the task; its end waits for that, but no longer than ``PATIENCE``."""
        was_closing, self._is_closing = self._is_closing, True
        try:
            await close()
        finally:
            self._is_closing = was_closing

    def let_finish(self) -> None:
        """Never interrupt the work again, because only its clean-up is left."""
        self._may_finish = True

    @property
    def _is_unwinding(self) -> bool:
        return self._mark is not None and self._mark() is not None

    def _insist(self) -> None:
        if not self._may_finish:
            self._is_delivered = self.has_strays = True
            _cancel_safely(self, super().cancel)


def _find_fatal(awaited: object) -> BaseException | None:
    """Return the KeyboardInterrupt or SystemExit that a future holds, if it is a future."""
    # Not by its own methods, which a subclass may override.
    if not isinstance(awaited, Future) or not Future.done(awaited) or Future.cancelled(awaited):
        return None
    error = Future.exception(awaited)
    return error if isinstance(error, (KeyboardInterrupt, SystemExit)) else None


class _Mark:
    """An attribute of an exception, by which a weak reference sees that the exception is gone."""

    __slots__ = ("__weakref__",)


@coroutine
def take_strays_off(task: OwnedTask[Any]) -> Generator[Any, Any, None]:
    """Set the cancellation count of a task, which finished work may have left raised, to 0.

    Raises:
        asyncio.CancelledError: If the task is to end.
    """
    while task.cancelling():
        if task.is_to_end:
            raise asyncio.CancelledError
        while task.uncancel():
            pass
        try:
            yield  # here asyncio delivers a cancellation that was requested and not delivered
        except asyncio.CancelledError:
            if task.is_to_end:
                raise
    task.has_strays = False


def cancel_as_work(task: asyncio.Task[Any]) -> None:
    """Cancel a task on behalf of code that runs in it."""
    if isinstance(task, OwnedTask):
        task.cancel_as_work()
    else:
        _cancel_safely(task, task.cancel)


def _cancel_safely(task: asyncio.Task[Any], cancel: Callable[[], object]) -> None:
    """Cancel a task, and report what the future raises that it awaits, of whatever kind that is.

    Otherwise those that are to be cancelled after it would not be.
    """
    try:
        cancel()
    except Exception as error:
        report_error(task.get_loop(), "what a task awaits raised when it was cancelled", error)


def is_being_cancelled() -> bool:
    """Return whether a cancellation of the current task was requested and not taken back.

    A timeout around the caller may have requested it, so a CancelledError must pass.
    """
    task = get_running_task()
    return task is not None and task.cancelling() > 0


def is_to_end() -> bool:
    """Return whether a CancelledError that leaves an item means the end of the current task."""
    task = get_running_task()
    return task.is_to_end if isinstance(task, OwnedTask) else is_being_cancelled()


def is_ended_by_owner(task: asyncio.Task[Any] | None) -> bool:
    """Return whether a task is being ended by its owner, so its clean-up must not be disturbed."""
    return isinstance(task, OwnedTask) and task.ended_by_owner


def get_running_task() -> asyncio.Task[Any] | None:
    """Return the current task, also where no event loop is running."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
