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
