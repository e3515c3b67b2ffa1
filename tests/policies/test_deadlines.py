"""The deadlines of a timeout, all kept by one timer."""

from __future__ import annotations

import asyncio
import gc
from typing import Any
from weakref import ref

import pytest

from nadoo_flow.policies.deadlines import Deadline, Deadlines
from tests.stand_ins import now


async def sleep_within(deadlines: Deadlines[Deadline], seconds: float) -> tuple[bool, float]:
    """Sleep in the current task, and return whether the deadline came first, and when it ended."""
    task: Any = asyncio.current_task()
    deadline = Deadline(task)
    deadlines.add(deadline)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        task.uncancel()
    deadlines.discard(deadline)
    return deadline.expired, now()


async def test_each_is_kept_to_the_moment() -> None:
    deadlines = Deadlines(5)

    async def later(delay: float, seconds: float) -> tuple[bool, float]:
        await asyncio.sleep(delay)
        return await sleep_within(deadlines, seconds)

    outcomes = await asyncio.gather(
        later(0, 4), later(1, 100), later(2, 100), later(2, 4), later(9, 100), later(9.5, 1)
    )
    assert outcomes == [(False, 4), (True, 6), (True, 7), (False, 6), (True, 14), (False, 10.5)]


async def test_a_task_may_have_several() -> None:
    outer, inner = Deadlines(5), Deadlines(2)

    async def nested() -> tuple[bool, float]:
        task: Any = asyncio.current_task()
        deadline = Deadline(task)
        outer.add(deadline)
        assert await sleep_within(inner, 100) == (True, 2)
        assert await sleep_within(inner, 1) == (False, 3)
        assert await sleep_within(inner, 100) == (True, 5)
        outer.discard(deadline)
        return deadline.expired, now()

    expired, when = await asyncio.create_task(nested())
    assert when == 5
    assert expired


async def test_one_that_was_discarded_does_nothing() -> None:
    deadlines = Deadlines(5)
    assert await sleep_within(deadlines, 1) == (False, 1)
    await asyncio.sleep(100)
    assert await sleep_within(deadlines, 100) == (True, 106)


@pytest.mark.parametrize("seconds", [1, 100])
async def test_a_task_that_has_ended_is_not_kept(seconds: float) -> None:
    deadlines = Deadlines(5)
    task = asyncio.create_task(sleep_within(deadlines, seconds))
    await task
    known = ref(task)
    del task
    await asyncio.sleep(0)
    gc.collect()
    assert known() is None
