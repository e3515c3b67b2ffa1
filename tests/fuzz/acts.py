"""What the code inside does with one item, or a source between two items."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from nadoo_flow import BatchProcessor
from nadoo_flow.testing import advance

from .case import CLEAN_UP, FOREVER, Act
from .faults import ERRORS, FATAL
from .ledger import Ledger

Doing: TypeAlias = Callable[[Act, Ledger], Awaitable[None]]

RAISING = ("raise", "raise_later", "raise_from_future", "raise_in_clean_up", "fail_in_group")
"""Acts that raise their error."""


async def perform(act: Act, ledger: Ledger) -> None:
    """Do what an act says, in a coroutine."""
    await _ACTS[act.kind](act, ledger)


def perform_without_waiting(act: Act, ledger: Ledger) -> None:
    """Do what an act says, in a plain function."""
    if act.kind == "block":
        advance(act.seconds)
    elif act.kind == "raise":
        raise _made(act, ledger)


def _made(act: Act, ledger: Ledger) -> BaseException:
    error = ERRORS[act.error]()
    if act.error in FATAL:
        ledger.fatal.append(error)
    return error


async def _return(act: Act, ledger: Ledger) -> None:
    """Do nothing."""


async def _sleep(act: Act, ledger: Ledger) -> None:
    await asyncio.sleep(act.seconds)


async def _slow_once(act: Act, ledger: Ledger) -> None:
    """Sleep, but not when the same is done for the item again."""
    if ledger.is_first():
        await asyncio.sleep(act.seconds)


async def _forever(act: Act, ledger: Ledger) -> None:
    await asyncio.sleep(FOREVER)


async def _block(act: Act, ledger: Ledger) -> None:
    advance(0.001)
    await asyncio.sleep(act.seconds)


async def _clean(act: Act, ledger: Ledger) -> None:
    """Clean up slowly; a cancel must not come a second time."""
    cancelled = False
    try:
        await asyncio.sleep(act.seconds)
    except asyncio.CancelledError:
        cancelled = True
        raise
    finally:
        try:
            await asyncio.sleep(CLEAN_UP)
        except asyncio.CancelledError:
            if cancelled and not ledger.several_cancels:
                ledger.find("a clean-up that a cancel began was broken off by another one")
            raise


async def _raise(act: Act, ledger: Ledger) -> None:
    raise _made(act, ledger)


async def _raise_later(act: Act, ledger: Ledger) -> None:
    await asyncio.sleep(act.seconds)
    raise _made(act, ledger)


async def _raise_in_clean_up(act: Act, ledger: Ledger) -> None:
    try:
        await asyncio.sleep(act.seconds)
    finally:
        error = _made(act, ledger)
        ledger.closing.append(error)
        raise error


async def _cancel_itself(act: Act, ledger: Ledger) -> None:
    """Leave a cancel on the count of the task, as older timeout helpers do."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    await asyncio.sleep(act.seconds)


async def _cancel_itself_and_raise(act: Act, ledger: Ledger) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(act.seconds)


async def _cancel_itself_and_return(act: Act, ledger: Ledger) -> None:
    """Leave a cancel that arrives at the next await, which may be that of another item."""
    await asyncio.sleep(act.seconds)
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def _raise_from_future(act: Act, ledger: Ledger) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def fail() -> None:
        if not future.done():
            future.set_exception(_made(act, ledger))

    timer = loop.call_later(act.seconds, fail)
    try:
        await future
    finally:
        timer.cancel()


async def _unwind(act: Act, ledger: Ledger) -> None:
    """Be timed out, and take long to clean up; the timeout takes every cancel for its own."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            try:
                await asyncio.sleep(FOREVER)
            finally:
                await asyncio.sleep(CLEAN_UP)
    await asyncio.sleep(act.seconds)


async def _unwind_often(act: Act, ledger: Ledger) -> None:
    for _ in range(3):
        await _unwind(act, ledger)


async def _swallow(act: Act, ledger: Ledger) -> None:
    """Go on for a while after a cancel, and answer as if nothing had been."""
    try:
        await asyncio.sleep(act.seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(CLEAN_UP)


async def _swallow_and_uncancel(act: Act, ledger: Ledger) -> None:
    try:
        await asyncio.sleep(act.seconds)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        await asyncio.sleep(CLEAN_UP)


async def _help(act: Act, ledger: Ledger) -> None:
    """Work in a task of its own."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_clean(act, ledger))


async def _fail_in_group(act: Act, ledger: Ledger) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(FOREVER))
        group.create_task(_raise_later(act, ledger))


async def _use_thread(act: Act, ledger: Ledger) -> None:
    await asyncio.to_thread(time.sleep, 0.001)


async def _run_batch(act: Act, ledger: Ledger) -> None:
    """Run a batch inside."""

    async def inner(_: int) -> None:
        await _clean(act, ledger)

    results = await BatchProcessor(inner, max_concurrency=2).batch(range(3))
    if [result.success for result in results] != [True] * 3:
        ledger.find("a batch inside a node has lost results")


async def _close(act: Act, ledger: Ledger) -> None:
    """Close the run from inside, which must raise."""
    iterator = None if ledger.iterator is None else ledger.iterator()
    if iterator is None:
        return
    ledger.closed_from_inside = True
    ledger.ask_to_end()
    is_generator = isinstance(iterator, AsyncGenerator)
    try:
        await iterator.aclose()
    finally:
        # Or a failed result would keep an iterator that is to be dropped.
        del iterator
    if not is_generator:  # these return at once if they are closed already
        ledger.find("aclose() from inside returned as if the run had ended")


async def _close_in_helper(act: Act, ledger: Ledger) -> None:
    await asyncio.gather(_close(act, ledger))


_ACTS: dict[str, Doing] = {
    "return": _return,
    "sleep": _sleep,
    "slow_once": _slow_once,
    "forever": _forever,
    "block": _block,
    "clean": _clean,
    "raise": _raise,
    "raise_later": _raise_later,
    "raise_in_clean_up": _raise_in_clean_up,
    "cancel_itself": _cancel_itself,
    "cancel_itself_and_raise": _cancel_itself_and_raise,
    "cancel_itself_and_return": _cancel_itself_and_return,
    "raise_from_future": _raise_from_future,
    "unwind": _unwind,
    "unwind_often": _unwind_often,
    "swallow": _swallow,
    "swallow_and_uncancel": _swallow_and_uncancel,
    "help": _help,
    "fail_in_group": _fail_in_group,
    "use_thread": _use_thread,
    "run_batch": _run_batch,
    "close": _close,
    "close_in_helper": _close_in_helper,
}
