"""Calls from any thread that have to be made in the thread of a run's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from reactivex import abc
from reactivex.disposable import Disposable

from .subscription import Subscription


def call_on_loop(run: Subscription, callback: Callable[[], object]) -> None:
    """Call at once if this is the thread of the loop, and else as :func:`call_soon` does.

    Args:
        run: The run, whose loop it is.
        callback: The function.
    """
    if is_running_in(run.loop):
        callback()
    else:
        call_soon(run, callback)


def call_soon(run: Subscription, callback: Callable[[], object]) -> None:
    """Wake the loop of a run, from any thread, to call something there.

    Raises:
        RuntimeError: If the loop is closed and the run had not ended.
    """
    try:
        run.loop.call_soon_threadsafe(callback)
    except RuntimeError:
        # An earlier signal of this thread may have ended the run, and the program with its loop.
        if not run.stopped:
            raise


def create_loop_disposable(run: Subscription, action: Callable[[], object]) -> abc.DisposableBase:
    """Create a disposable that calls an action in the thread of the loop, and once at most.

    It may be disposed of in any thread. If the loop is closed, nothing is left to dispose of.
    """

    def dispose() -> None:
        if is_running_in(run.loop):
            action()
            return
        with suppress(RuntimeError):
            call_soon(run, action)

    return Disposable(dispose)


def is_running_in(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether the caller runs inside the loop."""
    return asyncio._get_running_loop() is loop
