"""Tests of the tests: broken engines in the place of ``flat_map``, which the checks must catch.

Each check is a function of an engine. The real one must pass them all, and each broken one must be
caught at least by those that are named for it, so every check is known to see what it is there for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

import pytest
from reactivex import Observable, abc
from reactivex import operators as ops

from nadoo_flow.streams import (
    CloseableAsyncIterator,
    Isolation,
    Plan,
    Subscription,
    drain,
    flat_map,
)

from ..nodes import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by
from ..virtual_time import DeadlockError, advance
from .runs import Inputs, in_virtual_time, same, started, values_of

Mapper: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]
Operator: TypeAlias = Callable[[Observable[Any]], Observable[Any]]
Engine: TypeAlias = Callable[[Subscription, Mapper, int, Isolation], Operator]
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


# --- The broken engines ---


def serial(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Do one item after the other, whatever the limit."""
    return flat_map(run, mapper, 1, isolate)


def limitless(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Do all items at the same time, whatever the limit."""
    return flat_map(run, mapper, 1000, isolate)


def forgetful(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Drop the last result, and settle it."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        results = source.pipe(flat_map(run, mapper, limit, isolate))
        return results.pipe(ops.skip_last(1), ops.do_action(on_completed=run.release))

    return operator


def leaky(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Let go of the tasks of items when they are cancelled."""

    async def let_go(item: Any) -> Any:
        return await asyncio.shield(asyncio.ensure_future(mapper(item)))

    return flat_map(run, let_go, limit, isolate)


def greedy(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Take a permit of its own for each item and never give it back."""

    async def keeping(item: Any) -> Any:
        run.outstanding += 1
        return await mapper(item)

    return flat_map(run, keeping, limit, isolate)


def generous(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Settle items that nobody has taken yet."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        results = source.pipe(flat_map(run, mapper, limit, isolate))
        return results.pipe(ops.do_action(lambda _: run.release()))

    return operator


def hasty(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Complete with the source and not with the last lane."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            told = source.pipe(ops.do_action(on_completed=observer.on_completed))
            return told.pipe(flat_map(run, mapper, limit, isolate)).subscribe(observer)

        return Observable(subscribe)

    return operator


def eager(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Call the mapper for each item at once, and only await within the limit."""

    async def awaiting(work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    def operator(source: Observable[Any]) -> Observable[Any]:
        made: list[Coroutine[Any, Any, Any]] = []
        run.on_end(partial(_close_all, made))
        lanes = flat_map(run, awaiting, limit, isolate)
        return source.pipe(ops.map(mapper), ops.do_action(made.append), lanes)

    return operator


async def _close_all(made: list[Coroutine[Any, Any, Any]]) -> None:
    for work in made:
        work.close()


def naive(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Put plain workers on a queue: one context for each, and no thought of others."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            queue: deque[Any] = deque()
            workers = 0
            ended = False

            async def worker() -> None:
                nonlocal workers
                while queue and not run.stopped:
                    observer.on_next(await mapper(queue.popleft()))
                workers -= 1
                complete()

            def on_next(item: Any) -> None:
                nonlocal workers
                queue.append(item)
                if workers < limit:
                    workers += 1
                    run.spawn(worker)

            def on_completed() -> None:
                nonlocal ended
                ended = True
                complete()

            def complete() -> None:
                if ended and not workers:
                    observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed)

        return Observable(subscribe)

    return operator


def patient(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Keep an error secret until the source has ended."""

    async def or_error(item: Any) -> Any:
        try:
            return await mapper(item)
        except Exception as error:
            return error

    def raised(result: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    def operator(source: Observable[Any]) -> Observable[Any]:
        lanes = flat_map(run, or_error, limit, isolate)
        return source.pipe(
            lanes, ops.to_list(), ops.flat_map(lambda results: results), ops.map(raised)
        )

    return operator


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
    in_virtual_time(partial(check, flat_map))


@pytest.mark.parametrize("engine", CAUGHT_BY)
def test_a_broken_engine_is_caught(engine: Engine) -> None:
    assert CAUGHT_BY[engine] <= {check for check in CHECKS if catches(check, engine)}


def test_every_check_catches_something() -> None:
    assert set().union(*CAUGHT_BY.values()) == set(CHECKS)
