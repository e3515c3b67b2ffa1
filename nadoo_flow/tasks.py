"""What asyncio's tasks leave to their users: ending them in order, and telling how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable
from types import coroutine
from typing import Any, TypeVar, cast
from weakref import WeakSet

T = TypeVar("T")

_unwanted: WeakSet[asyncio.Task[Any]] = WeakSet()


class FatalError(Exception):
    """Carries a KeyboardInterrupt or SystemExit out of a task.

    A task that raises one of these itself tears the event loop down at once, before anything else
    could be cancelled and awaited.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


async def contained(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Make and await a coroutine inside a task, and raise what is fatal as :class:`FatalError`.

    It is made here, because a task that is cancelled before its first step never starts.
    """
    try:
        return await _ending(make())
    except (KeyboardInterrupt, SystemExit) as error:
        raise FatalError(error) from error


async def in_own_task(
    make: Callable[[], Coroutine[Any, Any, T]], on_start: Callable[[asyncio.Task[T]], None]
) -> T:
    """Await a coroutine in a task of its own, which has ended on return."""
    task = asyncio.create_task(contained(make))
    on_start(task)
    try:
        await asyncio.wait([task])
    finally:
        try:
            await cancel_and_join([task])
        finally:
            raise_fatal([task])
    return task.result()


async def cancel_and_join(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait until it has ended, whatever happens meanwhile.

    A task that is being cancelled already is left to its clean-up. A cancellation of the waiter is
    delivered when all have ended.
    """
    for task in tasks:
        cancel_once(task)
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
    # Each exception is looked at, so that asyncio does not log those that nobody wants any more.
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in errors:
        if isinstance(error, FatalError):
            raise error.error


def cancel_once(task: asyncio.Task[Any]) -> None:
    """Cancel a task unless somebody did already: a second cancel would break off its clean-up."""
    _unwanted.add(task)
    if not task.cancelling():
        task.cancel()


def is_unwanted(task: asyncio.Task[Any]) -> bool:
    """Tell whether a task was cancelled for good, by whoever started it."""
    return task in _unwanted


@coroutine
def _ending(work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Step a coroutine, and see to it that a cancel reaches it.

    The cancel may have come while a timeout inside was cancelling it, and the timeout takes its
    own cancel back when it is done.
    """
    task = cast("asyncio.Task[T]", asyncio.current_task())
    step: Callable[[Any], Any] = work.send
    argument: Any = None
    while True:
        try:
            awaited = step(argument)
        except StopIteration as done:
            return cast(T, done.value)
        if task in _unwanted:
            cancel_once(task)
        try:
            step, argument = work.send, (yield awaited)
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            step, argument = work.throw, error


def is_being_cancelled() -> bool:
    """Tell whether somebody asked the current task to end, or a CancelledError is a stray one."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
