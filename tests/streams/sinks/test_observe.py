"""A run as a cold Observable for anyone's own chain."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest
from reactivex import operators as ops

from nadoo_flow.streams import Plan, observe

from ...stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, observed
from ..runs import (
    Inputs,
    Seen,
    both_kinds,
    caught_by_loop,
    lanes_plan,
    never,
    same,
    sleeping,
    values_of,
)


def plain_plan(source: Any) -> Plan[Any]:
    """Plan to emit the values of a source in a chain without lanes."""
    return Plan(values_of(source), 1)


@both_kinds
async def test_it_emits_what_the_run_emits_and_completes(kind: str) -> None:
    seen = Seen()
    observe(lanes_plan(Inputs(3).of(kind), sleeping, 1)).subscribe(seen)
    await asyncio.sleep(5)
    assert (seen.values, seen.times, seen.ends) == ([0, 1, 2], [1, 2, 3], ["completed"])


async def test_nothing_runs_before_somebody_subscribes() -> None:
    inputs = Inputs()
    observable = observe(lanes_plan(inputs.sync()))
    await asyncio.sleep(5)
    assert inputs.pulled == 0
    del observable


async def test_rule_110_each_subscription_is_a_run_of_its_own() -> None:
    probe = Probe()
    observable = observe(lanes_plan([1.0, 2.0], probe))
    values: list[list[float]] = [[], []]
    await asyncio.gather(*(observed(observable, into) for into in values))
    assert values == [[1, 2], [1, 2]]
    assert len(probe.started) == 4


async def test_rule_104_an_error_arrives_as_on_error() -> None:
    error = OSError("broken")

    async def failing(_: int) -> None:
        raise error

    values: list[None] = []
    assert await observed(observe(lanes_plan([1], failing)), values) is error
    assert values == []


async def test_items_are_settled_when_the_observer_has_taken_them() -> None:
    outstanding, inputs = list[int](), Inputs(5)

    def on_next(value: int) -> None:
        # With a window of one nothing more is pulled before this returns.
        outstanding.append(inputs.pulled - value)

    observe(Plan(values_of(inputs.sync()), 1, 1)).subscribe(on_next)
    await asyncio.sleep(1)
    assert outstanding == [1] * 5


@both_kinds
async def test_rule_108_nothing_comes_after_dispose(kind: str) -> None:
    probe, inputs, seen = Probe(), Inputs(), Seen()

    async def mapper(item: int) -> int:
        await probe(1.0)
        return item

    disposable = observe(lanes_plan(inputs.of(kind), mapper)).subscribe(seen)
    await asyncio.sleep(1 + CLEAN_UP + 0.5)
    disposable.dispose()
    before, pulled = list(seen.values), inputs.pulled
    await asyncio.sleep(10)
    assert before == seen.values == [0, 1]
    assert (seen.ends, inputs.pulled, inputs.closed) == ([], pulled, 1)
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_108_dispose_in_on_next_is_the_last_of_it() -> None:
    seen = Seen()

    def on_next(value: int) -> None:
        seen.on_next(value)
        if value == 2:
            disposable.dispose()

    disposable = observe(lanes_plan(range(100), same, 4)).subscribe(
        on_next, seen.on_error, seen.on_completed
    )
    await asyncio.sleep(5)
    assert (seen.values, seen.ends) == ([0, 1, 2], [])
    assert_only_the_caller_runs()


async def test_rule_305_dispose_may_be_called_again_and_again() -> None:
    probe, seen = Probe(), Seen()
    disposable = observe(lanes_plan([5.0] * 4, probe)).subscribe(seen)
    await asyncio.sleep(1)
    for _ in range(3):
        disposable.dispose()
        await asyncio.sleep(CLEAN_UP / 2)
    probe.assert_cleaned()
    disposable.dispose()
    assert (seen.values, seen.ends, probe.cleaned) == ([], [], [5.0, 5.0])


async def test_rule_305_dispose_after_the_end_does_nothing() -> None:
    seen = Seen()
    disposable = observe(lanes_plan([1])).subscribe(seen)
    await asyncio.sleep(1)
    disposable.dispose()
    assert (seen.values, seen.ends) == ([1], ["completed"])


async def test_rule_109_an_operator_that_has_enough_at_once_can_dispose() -> None:
    inputs, seen = Inputs(), Seen()
    observe(lanes_plan(inputs.sync())).pipe(ops.take(0)).subscribe(seen)
    observe(lanes_plan(inputs.sync())).pipe(ops.first()).subscribe(seen)
    await asyncio.sleep(1)
    assert (seen.values, seen.ends) == ([0], ["completed", "completed"])
    assert_only_the_caller_runs()


def test_subscribing_outside_of_a_loop_is_a_clear_error() -> None:
    errors: list[Exception] = []
    observe(lanes_plan([1])).subscribe(on_error=errors.append)
    assert [str(error) for error in errors] == [
        "a run needs a running event loop: start it inside a coroutine"
    ]


# --- The observer's own errors ---


async def test_rule_213_an_observer_that_raises_ends_its_run_and_is_told_to_the_loop() -> None:
    told, error, seen, inputs = caught_by_loop(), ValueError("in the observer"), Seen(), Inputs()

    def on_next(value: int) -> None:
        seen.on_next(value)
        if value == 1:
            raise error

    observe(lanes_plan(inputs.sync())).subscribe(on_next, seen.on_error, seen.on_completed)
    await asyncio.sleep(1)
    assert (seen.values, seen.ends, told) == ([0, 1], [], [error])
    assert inputs.closed == 1
    assert_only_the_caller_runs()


@pytest.mark.parametrize("stop", [StopIteration(), StopAsyncIteration()])
async def test_rule_213_an_observer_that_raises_a_stop_ends_nothing_silently(
    stop: Exception,
) -> None:
    told, seen = caught_by_loop(), Seen()

    def on_next(_: int) -> None:
        raise stop

    for plan in (lanes_plan(range(3)), plain_plan(range(3))):
        told.clear()
        observe(plan).subscribe(on_next, seen.on_error, seen.on_completed)
        await asyncio.sleep(1)
        assert (seen.ends, told) == ([], [stop])


@pytest.mark.parametrize("length", [0, 3])
@pytest.mark.parametrize("source_error", [None, OSError("the source broke")])
async def test_rule_213_an_observer_that_raises_at_the_end_is_told_to_the_loop(
    length: int, source_error: Exception | None
) -> None:
    told, error = caught_by_loop(), ValueError("in the observer")

    def at_the_end(*_: Any) -> None:
        raise error

    for make in (lanes_plan, plain_plan):
        told.clear()
        inputs = Inputs(length, source_error)
        observe(make(inputs.sync())).subscribe(lambda _: None, at_the_end, at_the_end)
        await asyncio.sleep(1)
        assert told == [error]
        assert_only_the_caller_runs()


async def test_rule_213_what_one_observer_raises_is_not_seen_by_another() -> None:
    caught_by_loop()
    observable, seen = observe(lanes_plan(range(3))), Seen()

    def on_next(_: int) -> None:
        raise ValueError("in the observer")

    observable.subscribe(on_next)
    observable.subscribe(seen)
    await asyncio.sleep(1)
    assert (seen.values, seen.ends) == ([0, 1, 2], ["completed"])


# --- Signals and what is kept ---


@both_kinds
async def test_rule_103_signals_never_overlap(kind: str) -> None:
    inside: list[int] = []
    overlaps: list[int] = []

    def on_next(value: int) -> None:
        overlaps.extend(inside)
        inside.append(value)
        assert threading.current_thread() is threading.main_thread()
        inside.pop()

    def on_completed() -> None:
        overlaps.extend(inside)
        ended.set_result(now())

    for plan in (lanes_plan, plain_plan):
        ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        observe(plan(Inputs(200).of(kind))).subscribe(on_next, None, on_completed)
        await ended
    assert overlaps == []


async def test_rule_107_an_end_is_the_last_signal() -> None:
    seen = Seen()

    async def mapper(item: int) -> int:
        if item == 3:
            raise OSError("broken")
        await asyncio.sleep(0)
        return item

    observe(lanes_plan(range(100), mapper, 10)).subscribe(seen)
    await asyncio.sleep(10)
    assert len(seen.ends) == 1
    assert seen.values == []


@pytest.mark.parametrize("end", ["completed", "disposed"])
async def test_rule_313_an_observer_is_not_kept_after_the_end(end: str) -> None:
    class Node:
        async def __call__(self, item: int) -> int:
            if end == "disposed":
                await never(item)
            return item

    def begin() -> tuple[Any, list[weakref.ref[Any]]]:
        node, seen = Node(), Seen()
        disposable = observe(lanes_plan([1, 2], node)).subscribe(seen)
        return disposable, [weakref.ref(node), weakref.ref(seen)]

    disposable, watched = begin()
    await asyncio.sleep(1)
    if end == "disposed":
        disposable.dispose()
        await asyncio.sleep(1)
    # Rx's own disposable holds the observer as long as somebody holds the disposable.
    del disposable
    gc.collect()
    assert [reference() for reference in watched] == [None, None]
