"""Tests of the tests: broken engines in the place of ``flat_map``, which the checks must catch.

Each check is a function of an engine. The real one must pass them all, and each broken one must be
caught at least by those that are named for it, so every check is known to see what it is there for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

import pytest
from reactivex import Observable

from nadoo_flow.streams import (
    CloseableAsyncIterator,
    Plan,
    Subscription,
    drain,
)
from nadoo_flow.testing import DeadlockError, advance

from ..stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by
from ..streams.runs import Inputs, in_virtual_time, same, started, values_of
from .broken_engines import (
    Engine,
    Mapper,
    eager,
    forgetful,
    generous,
    greedy,
    hasty,
    leaky,
    limitless,
    naive,
    patient,
    serial,
    sound,
)

Check: TypeAlias = Callable[[Engine], Coroutine[Any, Any, None]]

VARIABLE: ContextVar[object] = ContextVar("VARIABLE")


def plan_with(engine: Engine, source: Any, mapper: Mapper, max_concurrent: int) -> Plan[Any]:
    def build(run: Subscription) -> Observable[Any]:
        return values_of(source)(run).pipe(engine(run, mapper, max_concurrent, "context"))

    return Plan(build, max_concurrent)


# --- The checks ---


async def check_peak(engine: Engine) -> None:
    """R1: concurrency reaches the limit and never exceeds it."""
    for length, limit in ((20, 3), (20, 1), (2, 3)):
        probe = Probe()
        await drain(plan_with(engine, [1.0] * length, probe, limit), lambda _: None)
        assert probe.peak == min(length, limit)


async def check_results(engine: Engine) -> None:
    """R2: each input has its result."""
    for length in (0, 1, 10):
        results: list[int] = []
        await drain(plan_with(engine, range(length), same, 3), results.append)
        assert sorted(results) == list(range(length))


async def check_completion(engine: Engine) -> None:
    """105: completion comes once, after the last lane."""

    async def mapper(seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    run, seen = started(plan_with(engine, [3, 1, 2], mapper, 3))
    await run.join()
    assert (seen.times, seen.ends, seen.ended_at) == ([1, 2, 3], ["completed"], 3)


async def check_no_task_is_left(engine: Engine) -> None:
    """R4: after ``aclose()`` only the caller's task is left, with every ``finally`` run."""
    probe = Probe()

    async def mapper(item: int) -> int:
        await probe(1.0 if item == 0 else 100.0)
        return item

    iterator = CloseableAsyncIterator(plan_with(engine, Inputs().sync(), mapper, 3))
    await anext(iterator)
    await iterator.aclose()
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def check_first_error(engine: Engine) -> None:
    """R4: the first error ends the run at once, joined."""
    error, probe = OSError("broken"), Probe()

    async def mapper(item: int) -> None:
        if item == 1:
            raise error
        await probe(100.0)

    assert await raised_by(drain(plan_with(engine, range(9), mapper, 2), lambda _: None)) is error
    assert now() == CLEAN_UP
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def check_permits_come_back(engine: Engine) -> None:
    """R3: a source that is longer than the window comes to its end and owes nothing."""
    run = await drain(plan_with(engine, range(100), same, 3), lambda _: None)
    assert run.outstanding == 0


async def check_demand(engine: Engine) -> None:
    """101: a consumer that takes nothing stops the source."""
    inputs = Inputs()
    run, _ = started(plan_with(engine, inputs.sync(), same, 2))
    await asyncio.sleep(10)
    assert inputs.pulled == 8
    run.cancel()
    await run.join()


async def check_laziness(engine: Engine) -> None:
    """R1: a mapper is called when a lane is free, so what it makes has not started before."""
    called: list[int] = []

    def mapper(item: int) -> Coroutine[Any, Any, None]:
        called.append(item)
        return asyncio.sleep(1)

    run, _ = started(plan_with(engine, range(8), mapper, 2))
    await asyncio.sleep(0.5)
    before = len(called)
    await asyncio.sleep(10)
    run.cancel()
    await run.join()
    assert (before, len(called)) == (2, 8)


async def check_contexts(engine: Engine) -> None:
    """R6: no item sees what another one set."""

    async def mapper(item: int) -> object:
        before = VARIABLE.get("unset")
        VARIABLE.set(item)
        return before

    results: list[object] = []
    await drain(plan_with(engine, range(10), mapper, 2), results.append)
    assert results == ["unset"] * 10


async def check_fairness(engine: Engine) -> None:
    """R7: nodes that never suspend let others in."""

    async def mapper(item: int) -> None:
        advance(0.001)

    heard: list[float] = []

    async def heartbeat() -> None:
        while True:
            await asyncio.sleep(0)
            heard.append(now())

    beating = asyncio.create_task(heartbeat())
    await drain(plan_with(engine, range(40), mapper, 40), lambda _: None)
    beating.cancel()
    gaps = [after - before for before, after in zip([0, *heard], heard, strict=False)]
    assert max(gaps) < 0.006


CHECKS = [
    check_peak,
    check_results,
    check_completion,
    check_no_task_is_left,
    check_first_error,
    check_permits_come_back,
    check_demand,
    check_laziness,
    check_contexts,
    check_fairness,
]


CAUGHT_BY: dict[Engine, set[Check]] = {
    serial: {check_peak},
    limitless: {check_peak},
    forgetful: {check_results},
    leaky: {check_no_task_is_left},
    greedy: {check_permits_come_back},
    generous: {check_demand},
    hasty: {check_completion},
    eager: {check_laziness},
    naive: {check_contexts, check_fairness},
    patient: {check_first_error},
}


def catches(check: Check, engine: Engine) -> bool:
    """Tell whether a check fails on an engine, be it by standing still."""
    try:
        in_virtual_time(partial(check, engine))
    except (AssertionError, DeadlockError, ValueError):
        return True
    return False


@pytest.mark.parametrize("check", CHECKS)
def test_the_real_engine_passes(check: Check) -> None:
    in_virtual_time(partial(check, sound))


@pytest.mark.parametrize("engine", CAUGHT_BY)
def test_a_broken_engine_is_caught(engine: Engine) -> None:
    assert CAUGHT_BY[engine] <= {check for check in CHECKS if catches(check, engine)}


def test_every_check_catches_something() -> None:
    assert set().union(*CAUGHT_BY.values()) == set(CHECKS)
