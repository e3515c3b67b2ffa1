"""Blocking work in a thread, for which an event loop can stop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
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
    # What comes is not a result of the asyncio future, which takes no StopIteration.
    done: Future[T] = Future()
    arrived: asyncio.Future[None] = loop.create_future()

    def give_away() -> None:
        if done.exception() is None:
            Thread(target=unwanted, args=(done.result(),), daemon=True).start()

    def settle() -> None:
        if arrived.cancelled():
            give_away()
        else:
            arrived.set_result(None)

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # in a thread a SystemExit would be lost
            done.set_exception(error)
        if not call_soon(loop, settle) and done.exception() is None:
            unwanted(done.result())

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        await arrived
    except asyncio.CancelledError:
        if not arrived.cancelled():  # it arrived, and the cancel came before it was looked at
            give_away()
        raise
    thread.join()
    return done.result()


def call_soon(
    loop: asyncio.AbstractEventLoop, function: Callable[..., object], *args: object
) -> bool:
    """Schedule a call on an event loop from any thread; return False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return False
    return True
