"""Blocking work in a thread comes back to the loop, however it ends."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from nadoo_flow.executors.in_thread import run_in_thread

from ..stand_ins import raised_by
from .helpers import turns, until


async def test_work_gives_its_result_or_its_exception() -> None:
    assert await run_in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 / 0)


async def test_work_that_exits_does_not_hang_its_caller() -> None:
    with pytest.raises(SystemExit):
        await run_in_thread(lambda: sys.exit("no licence"))


async def test_what_nobody_waits_for_is_given_away() -> None:
    go, unwanted = threading.Event(), list[int]()

    def work() -> int:
        go.wait(30)
        return 7

    call = asyncio.create_task(run_in_thread(work, unwanted.append))
    await turns()
    call.cancel()
    assert isinstance(await raised_by(call), asyncio.CancelledError)
    go.set()
    await until(lambda: unwanted == [7])


async def test_rule_r26_what_arrives_together_with_a_cancel_is_given_away_too() -> None:
    go, unwanted, before = threading.Event(), list[bool](), set(threading.enumerate())
    call = asyncio.create_task(run_in_thread(lambda: go.wait(30), unwanted.append))
    await asyncio.sleep(0)
    (thread,) = set(threading.enumerate()) - before
    go.set()
    thread.join()
    # The result has its place in the next turn, and whoever waits for it in the one after.
    asyncio.get_running_loop().call_soon(call.cancel)
    assert isinstance(await raised_by(call), asyncio.CancelledError)
    await until(lambda: unwanted == [True])


async def test_work_that_raises_stop_iteration_does_not_hang_its_caller() -> None:
    with pytest.raises(RuntimeError):
        await run_in_thread(lambda: next(iter([])))
