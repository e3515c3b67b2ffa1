"""Two things that asyncio's tasks leave to their users: stray cancellations and fatal errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class FatalError(Exception):
    """Carries a KeyboardInterrupt or SystemExit out of a task.

    A task that raises one of these itself tears the event loop down at once, before anything else
    could be cancelled and awaited.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


async def contained(work: Awaitable[T]) -> T:
    """Await something inside a task and raise what is fatal as :class:`FatalError`."""
    try:
        return await work
    except (KeyboardInterrupt, SystemExit) as error:
        raise FatalError(error) from error


def is_being_cancelled() -> bool:
    """Tell whether somebody asked the current task to end, or a CancelledError is a stray one."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
