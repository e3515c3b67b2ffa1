"""The time budget of one turn of the event loop."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from nadoo_flow.streams import drain
from nadoo_flow.streams.turn import BUDGET, LoopTurn
from nadoo_flow.testing import VirtualTimeLoop, advance

from ..stand_ins import now
from .runs import lanes_plan

MILLISECOND = 0.001


def this_turn() -> LoopTurn:
    return LoopTurn.of(asyncio.get_running_loop())


async def test_a_turn_is_spent_when_its_budget_has_passed() -> None:
    turn = this_turn()
    answers = [turn.is_spent()]
    for _ in range(4):
        advance(MILLISECOND)
        answers.append(turn.is_spent())
    assert answers == [False] * 4 + [True]


async def test_each_turn_has_a_budget_of_its_own() -> None:
    turn = this_turn()
    for _ in range(3):
        assert not turn.is_spent()
        advance(BUDGET)
        assert turn.is_spent()
        await asyncio.sleep(0)


async def test_what_others_took_before_a_run_asked_is_not_counted() -> None:
    turn = this_turn()
    advance(1)
    assert not turn.is_spent()


async def test_all_runs_of_a_loop_share_one_turn() -> None:
    assert this_turn() is this_turn()


def test_each_loop_has_its_own() -> None:
    one, other = VirtualTimeLoop(), VirtualTimeLoop()
    assert LoopTurn.of(one) is not LoopTurn.of(other)
    one.close()
    other.close()


def test_nothing_is_kept_of_a_loop_that_has_no_runs() -> None:
    loop = VirtualTimeLoop()
    turn = weakref.ref(LoopTurn.of(loop))
    loop.close()
    gc.collect()
    assert turn() is None


async def busy(item: Any) -> Any:
    advance(MILLISECOND)
    return item


async def heavy(item: Any) -> Any:
    advance(3 * MILLISECOND)
    return item


async def suspending(item: Any) -> Any:
    advance(MILLISECOND)
    await asyncio.sleep(0)
    return item


def slow_source() -> Iterator[int]:
    for number in range(100):
        advance(MILLISECOND)
        yield number


async def slow_async_source() -> AsyncIterator[int]:
    for number in slow_source():
        yield number


async def longest_turn(work: Awaitable[object]) -> float:
    """Await some work and return how long it kept the loop's other callbacks waiting at most."""
    loop = asyncio.get_running_loop()
    times, done = [now()], False

    def tick() -> None:
        times.append(now())
        if not done:
            loop.call_soon(tick)

    loop.call_soon(tick)
    await work
    done = True
    return max(after - before for before, after in pairwise(times))


async def run(source: Any, mapper: Any = busy) -> None:
    await drain(lanes_plan(source, mapper, 10), lambda _: None)


@pytest.mark.parametrize(
    ("source", "mapper", "milliseconds"),
    [
        pytest.param(lambda: range(100), busy, 4, id="items that never suspend"),
        pytest.param(lambda: range(100), heavy, 6, id="the budget ends within an item"),
        pytest.param(slow_source, busy, 4, id="a source that takes time as well"),
        pytest.param(slow_async_source, busy, 4, id="an async source that never suspends"),
    ],
)
async def test_rule_r7_a_run_leaves_each_turn_within_its_budget(
    source: Any, mapper: Any, milliseconds: int
) -> None:
    longest = await longest_turn(run(source(), mapper))
    assert longest == pytest.approx(milliseconds * MILLISECOND)


async def test_rule_r7_runs_at_the_same_time_share_the_budget() -> None:
    runs = asyncio.gather(*(run(range(50)) for _ in range(5)))
    assert await longest_turn(runs) == pytest.approx(BUDGET)


async def test_rule_r7_items_that_suspend_start_no_more_than_the_budget_allows() -> None:
    started_at: list[float] = []

    async def mapper(item: int) -> None:
        started_at.append(now())
        await suspending(item)

    # The ten lanes would take 10 ms to start if they all did so in one turn.
    assert await longest_turn(run(range(10), mapper)) == pytest.approx(BUDGET)
    assert len(started_at) == 10


async def test_rule_r7_a_heartbeat_keeps_beating_beside_nodes_that_never_suspend() -> None:
    beats = [now()]

    async def heartbeat() -> None:
        while True:
            await asyncio.sleep(MILLISECOND)
            beats.append(now())

    beating = asyncio.create_task(heartbeat())
    await run(range(1000))
    beating.cancel()
    # Until a sleeper runs again the loop takes three turns: its timer falls due during the first,
    # fires at the end of the second, and its task is resumed at the end of the third.
    assert max(after - before for before, after in pairwise(beats)) <= 3 * BUDGET + 1e-9
    assert now() == pytest.approx(1.0)
