"""A run that starts nothing more, and finishes what it has started."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex as rx
from reactivex.subject import Subject

from nadoo_flow.streams import CloseableAsyncIterator, Plan, Valve, drain, observe

from ..stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, observed, raised_by
from .runs import (
    Inputs,
    Seen,
    both_kinds,
    caught_by_loop,
    lanes_plan,
    never,
    ordered_plan,
    same,
    sleeping,
    started,
)

FROM_INSIDE = "^the end of a run cannot be awaited by one of its own nodes$"


def iterate(source: Any, mapper: Any = same, max_concurrent: int = 2) -> Any:
    return CloseableAsyncIterator(lanes_plan(source, mapper, max_concurrent))


async def take_all(iterator: Any) -> list[Any]:
    return [item async for item in iterator]


# --- What is started and what is not ---


@both_kinds
async def test_rule_r50_nothing_more_starts_and_what_is_in_work_is_delivered(kind: str) -> None:
    inputs, probe = Inputs(), Probe()

    async def work(item: int) -> int:
        await probe(10)
        return item

    iterator = iterate(inputs.of(kind), work, 3)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(5)
    assert (len(probe.started), inputs.pulled) == (3, 12)
    assert await iterator.drain() == 0
    assert now() == 10 + CLEAN_UP + (CLEAN_UP if kind == "async" else 0)
    assert sorted(await taking) == [0, 1, 2]
    assert (len(probe.started), inputs.pulled, inputs.closed) == (3, 12, 1)
    assert_only_the_caller_runs()


@both_kinds
async def test_rule_r50_a_run_that_waits_for_its_source_ends_at_once(kind: str) -> None:
    if kind == "sync":
        source: Any = Subject[int]()
    else:

        async def wait() -> Any:
            await never(None)
            yield 1

        source = wait()
    iterator = iterate(source)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(5)
    assert await iterator.drain() == 0
    assert (await taking, now()) == ([], 5)
    assert_only_the_caller_runs()


async def test_rule_r50_items_of_an_observable_that_wait_are_left_and_it_is_unsubscribed() -> None:
    source = Subject[int]()
    iterator = iterate(source, sleeping, 1)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(0)
    for number in range(10):
        source.on_next(number)
    await asyncio.sleep(0.5)
    iterator.drain()
    await asyncio.sleep(0)
    assert source.observers == []
    source.on_next(11)
    assert await taking == [0]
    assert iterator._inbox.run.draining.not_started == 9


async def test_an_error_of_an_observable_that_has_arrived_ends_a_drained_run_too() -> None:
    error, source = OSError("broken"), Subject[int]()
    iterator = iterate(source, sleeping, 1)
    taking = asyncio.create_task(raised_by(take_all(iterator)))
    await asyncio.sleep(0)
    for number in range(10):
        source.on_next(number)
    await asyncio.sleep(0.5)
    source.on_error(error)
    iterator.drain()
    assert await taking is error
    assert now() == 1


async def test_results_that_wait_for_earlier_ones_are_delivered() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(10 - item)
        return item

    iterator = CloseableAsyncIterator(ordered_plan(range(100), work, 4))
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(9.5)
    iterator.drain()
    # From 7 to 9.5 s the items 3, 2 and 1 ended, and others took their lanes.
    assert await taking == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("in_work", [0, 1, 2])
async def test_rule_r50_whatever_is_in_work_is_delivered_however_often_it_is_drained(
    in_work: int,
) -> None:
    iterator = iterate(range(in_work), sleeping)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(0.5)
    assert await asyncio.gather(*(iterator.drain() for _ in range(3))) == [0, 0, 0]
    assert await iterator.drain(0) == 0
    assert await taking == list(range(in_work))


@both_kinds
async def test_a_run_that_is_drained_before_its_first_item_pulls_nothing(kind: str) -> None:
    inputs = Inputs()
    iterator = iterate(inputs.of(kind))
    assert await iterator.drain(3) == 0
    assert await take_all(iterator) == []
    assert inputs.pulled == 0
    assert_only_the_caller_runs()


async def test_a_run_that_is_drained_before_its_first_item_subscribes_to_nothing() -> None:
    subscribed: list[Any] = []
    source = rx.create(lambda observer, _: subscribed.append(observer))
    iterator = iterate(source)
    iterator.drain()
    assert (await take_all(iterator), subscribed) == ([], [])


async def test_a_run_that_has_ended_or_was_closed_can_be_drained() -> None:
    iterator = iterate(range(3))
    assert await take_all(iterator) == [0, 1, 2]
    assert await iterator.drain() == 0
    closed = iterate(range(3))
    await closed.aclose()
    assert await closed.drain() == 0
    begun = iterate(Inputs().sync())
    await anext(begun)
    await begun.aclose()
    assert await begun.drain(1) == 0


async def test_the_iterating_task_may_await_the_end_and_take_the_results_then() -> None:
    iterator = iterate(Inputs().sync(), sleeping)
    assert await anext(iterator) == 0
    assert await iterator.drain() == 0
    assert now() == 2
    assert await take_all(iterator) == [1, 2, 3]


async def test_a_cancelled_waiter_leaves_the_draining_run_alone() -> None:
    iterator = iterate(Inputs().sync(), sleeping)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await iterator.drain()
    assert sorted(await taking) == [0, 1]


async def test_an_error_of_the_work_is_raised_when_the_run_is_drained_too() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(item)
        raise OSError(item)

    iterator = iterate([1, 2, 3], work, 2)
    taking = asyncio.create_task(raised_by(take_all(iterator)))
    await asyncio.sleep(0.5)
    await iterator.drain()
    assert repr(await taking) == "OSError(1)"


async def test_a_source_that_raises_when_it_is_left_is_reported_and_fails_nothing() -> None:
    caught = caught_by_loop()
    error = OSError("left")

    async def source() -> Any:
        yield 0
        try:
            await never(None)
        finally:
            raise error

    iterator = iterate(source(), sleeping)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(0.5)
    iterator.drain()
    assert await taking == [0]
    assert caught == [error]


async def test_what_a_source_gives_though_it_was_left_is_not_started() -> None:
    async def source() -> Any:
        try:
            await never(None)
        except asyncio.CancelledError:
            yield 1

    iterator = iterate(source())
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(1)
    iterator.drain()
    assert await taking == []


# --- From where ---


async def test_work_may_drain_its_own_run_and_nothing_starts_after_that() -> None:
    begun: list[int] = []

    async def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            iterator.drain()
        return item

    iterator = iterate(Inputs().sync(), work, 1)
    assert await take_all(iterator) == begun == [0, 1, 2, 3]


@both_kinds
async def test_a_source_may_drain_its_own_run(kind: str) -> None:
    def numbers() -> Any:
        for number in range(100):
            if number == 3:
                iterator.drain()
            yield number

    async def asynchronous() -> Any:
        for number in numbers():
            yield number

    iterator = iterate(numbers() if kind == "sync" else asynchronous(), sleeping)
    # It gives all that at once, before the first has started.
    assert await take_all(iterator) == []
    assert_only_the_caller_runs()


async def test_work_that_awaits_the_end_of_its_own_run_gets_an_error() -> None:
    async def work(item: int) -> BaseException | None:
        return await raised_by(iterator.drain())

    iterator = iterate([1], work)
    (error,) = await take_all(iterator)
    with pytest.raises(RuntimeError, match=FROM_INSIDE):
        raise error


async def test_another_thread_may_drain_a_run() -> None:
    iterator = iterate(Inputs().sync(), sleeping)
    await anext(iterator)
    thread = threading.Thread(target=iterator.drain)
    thread.start()
    thread.join()
    assert await take_all(iterator) == [1, 2, 3]


async def test_it_is_a_coroutine_for_whatever_takes_one() -> None:
    iterator = iterate(Inputs().sync(), sleeping)
    await anext(iterator)
    draining = asyncio.create_task(iterator.drain())
    async with asyncio.TaskGroup() as group:
        group.create_task(iterator.drain())
    assert await asyncio.wait_for(iterator.drain(), 1) == await draining == 0
    waiting = iterator.drain()
    waiting.close()
    waiting = iterator.drain()
    with pytest.raises(StopIteration):
        waiting.send(None)
    waiting.close()
    with pytest.raises(ValueError, match="x"):
        iterator.drain().throw(ValueError("x"))
    assert await take_all(iterator) == [1, 2, 3]


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (-1, "timeout must not be negative, got -1"),
        (float("nan"), r"timeout must be a finite number, got nan \(float\)"),
        ("5", r"timeout must be a number, got '5' \(str\)"),
    ],
)
async def test_a_bad_timeout_drains_nothing(seconds: Any, message: str) -> None:
    iterator = iterate(range(3))
    for drainable in (iterator, Valve()):
        with pytest.raises((TypeError, ValueError), match=f"^{message}$"):
            drainable.drain(seconds)
    assert await take_all(iterator) == [0, 1, 2]


# --- Timeouts ---


async def test_rule_r51_after_the_timeout_the_rest_is_cancelled_and_counted() -> None:
    probe = Probe()
    iterator = iterate([3, 20, 30, 4, 5], probe, 3)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(2)
    assert await iterator.drain(3) == 2
    assert now() == 5 + CLEAN_UP
    assert await taking == [3]
    probe.assert_cleaned()
    assert iterator._inbox.run.draining.not_started == 2
    assert_only_the_caller_runs()


async def test_rule_r51_the_earliest_timeout_counts() -> None:
    iterator = iterate([100], Probe())
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(1)
    for timeout in (50, None, 20, 30):
        iterator.drain(timeout)
    assert await iterator.drain(40) == 1
    assert (now(), await taking) == (21 + CLEAN_UP, [])


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_r51_what_is_finished_in_its_cancellation_is_delivered(isolate: Any) -> None:
    async def stubborn(item: int) -> int:
        try:
            await never(None)
        except asyncio.CancelledError:
            await asyncio.sleep(item)
        return item

    iterator = CloseableAsyncIterator(lanes_plan([1, 2], stubborn, isolate=isolate))
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(1)
    assert await iterator.drain(0) == 0
    assert await taking == [1, 2]


async def test_rule_r51_results_that_wait_for_a_cancelled_one_are_delivered() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(item or 100)
        return item

    iterator = CloseableAsyncIterator(ordered_plan(range(5), work, 3))
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(3.5)
    assert await iterator.drain(0) == 3
    assert await taking == [1, 2]


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_r51_each_kind_of_isolation_can_be_cut(isolate: Any) -> None:
    probe = Probe()
    iterator = CloseableAsyncIterator(lanes_plan([10, *range(20, 30)], probe, 4, isolate=isolate))
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(10.5 + CLEAN_UP)
    assert await iterator.drain(0) == 4
    assert await taking == [10]
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_r51_a_run_that_is_closed_while_it_is_drained_is_cancelled() -> None:
    probe = Probe()
    iterator = iterate([5, 50], probe)
    taking = asyncio.create_task(raised_by(take_all(iterator)))
    await asyncio.sleep(1)
    draining = asyncio.create_task(iterator.drain(100))
    await asyncio.sleep(1)
    await iterator.aclose()
    assert await draining == 0
    assert now() == 2 + CLEAN_UP
    assert isinstance(await taking, RuntimeError)
    assert_only_the_caller_runs()


# --- Other sinks, and valves ---


async def test_a_valve_drains_every_run_that_has_it() -> None:
    valve = Valve()
    plan = Plan(lanes_plan(range(100), sleeping, 2).build, 2, valve=valve)
    collected: list[int] = []
    seen = Seen()
    observe(plan).subscribe(seen)
    draining = asyncio.create_task(drain(plan, collected.append))
    iterator = CloseableAsyncIterator(plan)
    taking = asyncio.create_task(take_all(iterator))
    await asyncio.sleep(1.5)
    assert not valve.closed
    assert await valve.drain() == 0
    assert valve.closed
    assert (sorted(seen.values), seen.ends, now()) == ([0, 1, 2, 3], ["completed"], 2)
    await draining
    assert sorted(collected) == sorted(await taking) == [0, 1, 2, 3]
    late = await observed(observe(plan), collected)
    assert (late, sorted(collected)) == (None, [0, 1, 2, 3])
    assert await valve.drain(5) == 0


async def test_a_valve_counts_what_was_cancelled_in_all_runs() -> None:
    valve = Valve()
    plan = Plan(lanes_plan(range(100), never, 3).build, 3, valve=valve)
    for _ in range(2):
        observe(plan).subscribe(Seen())
    await asyncio.sleep(1)
    assert await valve.drain(1) == 6
    assert now() == 2


async def test_a_valve_keeps_no_run_alive_and_serves_one_loop_after_the_other() -> None:
    valve = Valve()
    plan = Plan(lanes_plan(range(3)).build, 2, valve=valve)
    for _ in range(3):
        await drain(plan, bool)
    await asyncio.sleep(0)
    assert list(valve._runs) == []

    def run_elsewhere() -> None:
        asyncio.run(drain(plan, others.append))  # type: ignore[arg-type]

    others: list[int] = []
    thread = threading.Thread(target=run_elsewhere)
    thread.start()
    thread.join()
    assert others == [0, 1, 2]
    assert await valve.drain() == 0


async def test_rule_313_a_drained_run_keeps_nothing_alive() -> None:
    run, seen = started(lanes_plan(Inputs().sync(), sleeping))
    await asyncio.sleep(0.5)
    run.drain(100)
    await run.join()
    assert seen.ends == ["completed"]
    assert run.draining._parts == []
    assert run.draining._timer is None
    run.drain(1)
    assert run.draining._timer is None
