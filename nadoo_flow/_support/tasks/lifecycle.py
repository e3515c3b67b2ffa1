"""Starting, joining and ending owned tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar, cast

from .driver import Driver, Interrupted
from .owned_task import OwnedTask, take_strays_off

T = TypeVar("T")


class FatalError(Exception):
    """Carries a KeyboardInterrupt or SystemExit out of a task.

    A task that raises one of these itself tears the event loop down at once, before anything else
    could be cancelled and awaited.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def start_owned(make: Callable[[], Coroutine[Any, Any, T]]) -> OwnedTask[T]:
    """Start a task that makes and runs a coroutine, and raises what is fatal as FatalError."""
    return OwnedTask(_run_contained(make), loop=asyncio.get_running_loop())


async def _run_contained(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Be the outermost coroutine of a task that drives another coroutine."""
    task = cast("OwnedTask[T]", asyncio.current_task())
    driver = Driver(make)
    while True:
        try:
            result = await driver.drive()
        except Interrupted:
            continue
        except (KeyboardInterrupt, SystemExit) as error:
            raise FatalError(error) from error
        except BaseException:
            if task.dropped is None:
                raise
        if task.dropped is not None:
            raise FatalError(task.dropped) from task.dropped
        if task.has_strays and not task.is_to_end:
            # A task that the work cancelled in its last step would otherwise have no result.
            await take_strays_off(task)
        return result


async def run_in_own_task(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await a coroutine in a task of its own; on return that task has ended.

    If the caller is cancelled, so is the coroutine. A result that it gives all the same is
    returned, as if the caller had awaited it directly.
    """
    task = start_owned(make)
    try:
        try:
            await asyncio.wait([task])
        finally:
            try:
                await end_and_join([task])
            finally:
                raise_fatal([task])
    except asyncio.CancelledError:
        if not task.done() or task.cancelled() or task.exception() is not None:
            raise
    return task.result()


async def end_and_join(tasks: Collection[OwnedTask[Any]]) -> None:
    """End all tasks that still run, and wait until they have ended.

    A task that is being ended already is not interrupted in its clean-up. If the waiter is
    cancelled meanwhile, the CancelledError is raised when all tasks have ended.
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
    """Raise the KeyboardInterrupt or SystemExit of ended tasks, if one of them raised it."""
    # Every exception is retrieved, or asyncio would log those that are not needed any more.
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in errors:
        if isinstance(error, FatalError):
            raise error.error
