"""Blocking work in a thread, for which an event loop can stop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def run_in_thread(
    work: Callable[[], T], unwanted: Callable[[T], object] = lambda _: None
) -> T:
    """Do blocking work in a daemon thread of its own, and return what it returns.

    Unlike ``asyncio.to_thread`` nothing waits for the thread once the caller is cancelled.

    Args:
        work: A function that may block.
        unwanted: Called with the result, in a thread, if the caller was cancelled meanwhile.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T) -> None:
        if done.cancelled():
            Thread(target=unwanted, args=(result,), daemon=True).start()
        else:
            done.set_result(result)

    def fail(error: BaseException) -> None:
        if not done.cancelled():
            done.set_exception(error)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # in a thread a SystemExit would be lost
            call_soon(loop, fail, error)
            return
        if not call_soon(loop, settle, result):
            unwanted(result)

    thread = Thread(target=run, daemon=True)
    thread.start()
    result = await done
    thread.join()
    return result


def call_soon(
    loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object
) -> bool:
    """Schedule a call on an event loop from any thread; return False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return False
    return True
