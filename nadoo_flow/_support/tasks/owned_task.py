"""Tasks that the engine owns: whatever runs inside, it decides itself whether they are to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable
from contextvars import Context, ContextVar
from types import coroutine
from typing import Any, Generic, TypeVar, cast
from weakref import ref

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that the clean-up of an earlier cancellation may take before the end of its task
interrupts it."""

_is_closing: ContextVar[bool] = ContextVar("nadoo_flow_is_closing", default=False)


class FatalError(Exception):
    """Carries a KeyboardInterrupt or SystemExit out of a task.

    A task that raises one of these itself tears the event loop down at once, before anything else
    could be cancelled and awaited.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class OwnedTask(asyncio.Task[T]):
    """A task that its owner ends with :meth:`end`; any other cancellation comes from elsewhere.

    The code inside may raise the cancellation count of its task and leave it so, as older timeout
    helpers do, or take a cancellation back, as ``asyncio.timeout`` does. So neither the count nor
    a CancelledError says whether the task is to end: these attributes do.

    Args:
        work: What to run. Its :class:`Driver`, or lane, reports what it throws into it.
        loop: The running loop; not its task factory, since an eager one would run at once.
        context: The context to run in; a copy of the current one by default.
        is_caller_inside: Whether whoever calls :meth:`cancel` belongs to the work itself, such as
            a timer of a timeout. By default every caller does.

    Attributes:
        ended_by_owner: Whether the owner wants it to end.
        cancelled_from_outside: Whether a stranger cancelled it, such as the end of ``asyncio.run``.
        has_strays: Whether its cancellation count may have been left raised; see
            :func:`take_strays_off`.
    """

    __slots__ = (
        "_is_caller_inside",
        "_is_delivered",
        "_is_on_its_way",
        "_mark",
        "_may_finish",
        "cancelled_from_outside",
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
        self._is_caller_inside = is_caller_inside
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
        """Have the end reach the work, unless it has; called whenever the work suspends.

        A cancellation that the work is still unwinding is waited for, so that its ``finally``
        blocks come to their end, and so is one that has not arrived yet, since the work could not
        tell the two apart. One that was taken back is delivered again.
        """
        is_waited_for = self._is_delivered or self._is_unwinding or self._is_on_its_way
        if not (self._may_finish or (self.cancelling() and is_waited_for)):
            self._insist()

    def note_thrown(self, error: asyncio.CancelledError) -> None:
        """Remember that a cancellation is thrown into the work, to see when it was dealt with."""
        self._is_on_its_way = False
        mark = _Mark()
        # The exception lives as long as a block of the work handles it.
        vars(error)["nadoo_flow_mark"] = mark
        self._mark = ref(mark)

    def let_finish(self) -> None:
        """Interrupt the work no more: what is left of it is the clean-up."""
        self._may_finish = True

    @property
    def _is_unwinding(self) -> bool:
        return self._mark is not None and self._mark() is not None

    def _insist(self) -> None:
        if not self._may_finish:
            self._is_delivered = self.has_strays = True
            super().cancel()


class _Mark:
    """Dies with the exception that it is attached to."""

    __slots__ = ("__weakref__",)


def start_owned(make: Callable[[], Coroutine[Any, Any, T]]) -> OwnedTask[T]:
    """Start a task of a coroutine that is made inside it; see :func:`run_contained`."""
    return OwnedTask(run_contained(make), loop=asyncio.get_running_loop())


async def run_contained(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Make and drive a coroutine as a task, and raise what is fatal as :class:`FatalError`."""
    task = cast("OwnedTask[T]", asyncio.current_task())
    driver = Driver(make)
    while True:
        try:
            result = await driver.drive()
        except Interrupted:
            continue
        except (KeyboardInterrupt, SystemExit) as error:
            raise FatalError(error) from error
        if task.has_strays:  # or a task that is cancelled in its last step would have no result
            await take_strays_off(task)
        return result


async def run_in_own_task(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await a coroutine in a task of its own, which has ended on return."""
    task = start_owned(make)
    try:
        await asyncio.wait([task])
    finally:
        try:
            await end_and_join([task])
        finally:
            raise_fatal([task])
    return task.result()


async def end_and_join(tasks: Collection[OwnedTask[Any]]) -> None:
    """End what still runs and wait until it has ended, whatever happens meanwhile.

    A task that is being ended already is left to its clean-up. A cancellation of the waiter is
    delivered when all have ended.
    """
    for task in tasks:
        task.end()
    cancelled: asyncio.CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def raise_fatal(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Raise the KeyboardInterrupt or SystemExit of ended tasks, also of ones that were given up."""
    # Each exception is looked at, so that asyncio does not log those that are of no use any more.
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in errors:
        if isinstance(error, FatalError):
            raise error.error


class Interrupted(BaseException):
    """A driver has to be resumed by the outermost coroutine of its task, and by no other.

    A GeneratorExit that comes from a future closes every coroutine below the outermost one, so that
    those must not suspend any more.
    """


class Driver(Generic[T]):
    """Steps a coroutine inside an owned task, and sees to it that the end of the task reaches it.

    Args:
        make: Makes the coroutine when the task takes its first step; one that is cancelled before
            that never starts.
        in_context: Calls a function in the context of the coroutine; that of the task by default.
    """

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, T]],
        in_context: Callable[..., Any] | None = None,
    ) -> None:
        self._make = make
        self._in_context = in_context or call
        self._work: Coroutine[Any, Any, T] | None = None
        self._thrown: BaseException | None = None

    def interrupt(self, error: GeneratorExit) -> Interrupted:
        """Return what to raise where a future raised GeneratorExit.

        The coroutine is then given an error that is none of a coroutine that is closed.
        """
        thrown = RuntimeError("what was awaited raised GeneratorExit")
        thrown.__cause__ = error
        self._thrown = thrown
        return Interrupted()

    @coroutine
    def drive(self) -> Generator[Any, Any, T]:
        """Step the coroutine to its end.

        Raises:
            Interrupted: To be called again.
        """
        task = cast("OwnedTask[T]", asyncio.current_task())
        work = self._work = self._work or self._make()
        step: Callable[[Any], Any] = work.send
        argument: Any = None
        if self._thrown is not None:
            step, argument, self._thrown = work.throw, self._thrown, None
        while True:
            try:
                awaited = self._in_context(step, argument)
            except StopIteration as done:
                return cast(T, done.value)
            argument = None  # or the work would seem to handle an exception
            if task.ended_by_owner:
                task.deliver()
            try:
                step, argument = work.send, (yield awaited)
            except GeneratorExit as error:
                if get_running_task() is task:
                    raise self.interrupt(error) from None
                close_work(work, self._in_context)
                raise
            except asyncio.CancelledError as error:
                task.note_thrown(error)
                step, argument = work.throw, error
            except BaseException as error:
                step, argument = work.throw, error


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in the current context."""
    return function(*arguments)


def close_work(work: Coroutine[Any, Any, object], in_context: Callable[..., object]) -> None:
    """Close a coroutine that is never stepped again, with :func:`is_closing` true inside it."""
    in_context(_is_closing.set, True)
    try:
        in_context(work.close)
    finally:
        in_context(_is_closing.set, False)


def is_closing() -> bool:
    """Return whether a GeneratorExit comes from outside; else the code inside has raised it."""
    return _is_closing.get() or not isinstance(get_running_task(), OwnedTask)


@coroutine
def take_strays_off(task: OwnedTask[Any]) -> Generator[Any, Any, None]:
    """Take off what finished work left on the cancellation count of its task.

    Raises:
        asyncio.CancelledError: If the task is to end.
    """
    while task.cancelling():
        if task.is_to_end:
            raise asyncio.CancelledError
        while task.uncancel():
            pass
        try:
            yield  # a cancellation that was not delivered yet is delivered here
        except asyncio.CancelledError:
            if task.is_to_end:
                raise
    task.has_strays = False


def is_being_cancelled() -> bool:
    """Return whether a cancellation of the current task was requested and not taken back.

    Whoever requested it may be around the caller, such as a timeout, so a CancelledError passes.
    """
    task = get_running_task()
    return task is not None and task.cancelling() > 0


def is_to_end() -> bool:
    """Return whether a CancelledError that leaves an item means the end of the current task."""
    task = get_running_task()
    return task.is_to_end if isinstance(task, OwnedTask) else is_being_cancelled()


def is_ended_by_owner(task: asyncio.Task[Any]) -> bool:
    """Return whether a task is being ended by its owner, so its clean-up must not be disturbed."""
    return isinstance(task, OwnedTask) and task.ended_by_owner


def get_running_task() -> asyncio.Task[Any] | None:
    """Return the current task, also where no event loop is running."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
