"""What asyncio's tasks leave to their users: ending them in order, and telling how they ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


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
        return await make()
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
        await cancel_and_join([task])
    try:
        return task.result()
    except FatalError as fatal:
        raise fatal.error from None


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


def cancel_once(task: asyncio.Task[Any]) -> None:
    """Cancel a task unless somebody did already: a second cancel would break off its clean-up."""
    if not task.cancelling():
        task.cancel()


def is_being_cancelled() -> bool:
    """Tell whether somebody asked the current task to end, or a CancelledError is a stray one."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
