"""flat_map with a merge concurrency limit: the one concurrency engine."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow.streams import (
    CloseableAsyncIterator,
    Isolation,
    Plan,
    Subscription,
    drain,
    flat_map,
    observe,
)
from nadoo_flow.testing import VirtualTimeLoop
from tests.work import Mapped

from ...stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by
from ..runs import (
    Inputs,
    Seen,
    both_kinds,
    caught_by_loop,
    lanes_plan,
    never,
    same,
    sleeping,
    stack_depth,
    started,
    values_of,
)

both_isolations = pytest.mark.parametrize("isolate", ["context", "task"])

VARIABLE: ContextVar[Any] = ContextVar("VARIABLE", default="unset")


class Gauge:
    """A mapper that tells how many were at work at the same time."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self.work = work
        self.order: list[int] = []
        self.running = 0
        self.peak = 0

    async def __call__(self, item: int) -> int:
        self.order.append(item)
        self.running += 1
        self.peak = max(self.peak, self.running)
        await self.work()
        self.running -= 1
        return item


# --- Concurrency ---


@both_kinds
@both_isolations
@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize(
    ("length", "max_concurrent"), [(1, 1), (1, 3), (3, 3), (10, 1), (10, 3), (50, 7), (5, 1000)]
)
async def test_rule_r1_the_peak_is_the_limit_or_all_there_is(
    kind: str, isolate: Isolation, delay: int, length: int, max_concurrent: int
) -> None:
    gauge = Gauge(lambda: asyncio.sleep(delay))
    results: list[int] = []
    inputs = Inputs(length)
    await drain(lanes_plan(inputs.of(kind), gauge, max_concurrent, isolate=isolate), results.append)
    assert gauge.peak == min(length, max_concurrent)
    assert gauge.order == sorted(results) == list(range(length))


async def test_rule_r1_lanes_that_ended_for_want_of_items_come_back() -> None:
    gauge, subject = Gauge(lambda: asyncio.sleep(1)), Subject[int]()
    run, seen = started(lanes_plan(subject, gauge, 3, window=100))
    for burst in (2, 1, 5):
        gauge.peak = 0
        for item in range(burst):
            subject.on_next(item)
        await asyncio.sleep(10)
        assert gauge.peak == min(burst, 3)
    assert len(seen.values) == 8
    run.cancel()


async def test_a_free_lane_takes_the_next_item_at_once() -> None:
    times: list[tuple[int, float]] = []

    async def mapper(seconds: int) -> int:
        times.append((seconds, now()))
        await asyncio.sleep(seconds)
        return seconds

    run, seen = started(lanes_plan([5, 1, 3, 4, 1], mapper, 2))
    await run.join()
    assert times == [(5, 0), (1, 0), (3, 1), (4, 4), (1, 5)]
    assert list(zip(seen.values, seen.times, strict=True)) == [
        (1, 1),
        (3, 4),
        (5, 5),
        (1, 6),
        (4, 8),
    ]


async def test_the_mapper_is_called_only_when_a_lane_is_free() -> None:
    called: list[int] = []

    def mapper(item: int) -> Any:
        called.append(item)
        return sleeping(item)

    run, _ = started(lanes_plan(range(10), mapper, 2))
    await asyncio.sleep(0.5)
    assert called == [0, 1]
    await asyncio.sleep(1)
    assert called == [0, 1, 2, 3]
    run.cancel()


@both_kinds
async def test_rule_r1_a_slow_consumer_does_not_leave_lanes_idle_within_the_window(
    kind: str,
) -> None:
    gauge = Gauge(lambda: asyncio.sleep(1))
    iterator = CloseableAsyncIterator(lanes_plan(Inputs().of(kind), gauge, 3, window=7))
    async with iterator:
        await anext(iterator)
        await asyncio.sleep(100)
        # One was taken; all of the window was worked on, three at a time, and then it stalled.
        assert (gauge.peak, gauge.running, len(gauge.order)) == (3, 0, 1 + 7)


async def test_rule_303_a_hundred_thousand_items_that_never_suspend_do_not_nest() -> None:
    depths: set[int] = set()

    async def mapper(item: int) -> int:
        if item % 1000 == 999:
            depths.add(stack_depth())
        return item

    taken: list[int] = []
    await drain(lanes_plan(range(100_000), mapper, 1), taken.append)
    assert len(taken) == 100_000
    assert len(depths) == 1


# --- Signals ---


async def test_rule_103_signals_never_overlap() -> None:
    inside: list[Any] = []
    overlaps: list[Any] = []
    subject = Subject[int]()
    plan = lanes_plan(subject, same, 3)
    run = plan.open()

    class Observer(Seen):
        def on_next(self, value: int) -> None:
            overlaps.extend(inside)
            inside.append(value)
            # All that could bring the next signal: a new item, demand, the end.
            subject.on_next(value + 10)
            run.release()
            if value > 50:
                subject.on_completed()
            super().on_next(value)
            inside.pop()

        def on_completed(self) -> None:
            overlaps.extend(inside)
            super().on_completed()

    seen = Observer()
    run.start(plan.build, seen)
    for item in range(3):
        subject.on_next(item)
    await run.join()
    assert seen.ends == ["completed"]
    assert sorted(seen.values)[-1] > 50
    assert overlaps == []


@both_isolations
async def test_rule_105_completion_comes_after_the_last_lane(isolate: Isolation) -> None:
    async def mapper(seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    run, seen = started(lanes_plan([1, 9, 2], mapper, 3, isolate=isolate))
    await run.join()
    assert (seen.values, seen.ends, seen.ended_at) == ([1, 2, 9], ["completed"], 9)


@both_kinds
async def test_rule_104_an_error_of_the_source_comes_after_the_last_lane(kind: str) -> None:
    error = OSError("the source broke")
    inputs = Inputs(3, error)
    run, seen = started(lanes_plan(inputs.of(kind), sleeping, 1))
    await run.join()
    assert (seen.values, seen.ends) == ([0, 1, 2], [error])
    assert seen.ended_at == 3


@both_kinds
@both_isolations
async def test_rule_206_take_stops_the_source_and_cancels_the_rest(
    kind: str, isolate: Isolation
) -> None:
    probe, inputs, seen = Probe(), Inputs(), Seen()

    async def mapper(item: int) -> int:
        await probe(1.0 if item < 3 else 100.0)
        return item

    plan = lanes_plan(inputs.of(kind), mapper, 2, isolate=isolate)
    observe(plan).pipe(ops.take(3)).subscribe(seen)
    await asyncio.sleep(50)
    assert (seen.values, seen.ends) == ([0, 1, 2], ["completed"])
    # The window is eight; items 0 to 2 were settled, and 3 was at work when 2 was taken.
    assert len(probe.started) == 4
    assert (inputs.pulled, inputs.closed) == (10, 1)
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_206_take_inside_of_a_run_completes_it_when_the_rest_has_ended() -> None:
    probe, inputs = Probe(), Inputs()

    async def mapper(item: int) -> int:
        await probe(1.0 if item < 3 else 100.0)
        return item

    run, seen = started(lanes_plan(inputs.sync(), mapper, 2).pipe(ops.take(3)))
    await run.join()
    assert (seen.values, seen.ends) == ([0, 1, 2], ["completed"])
    # Items 0 and 1 end at 2, item 2 at 4; then item 3 needs a second to clean up.
    assert (seen.times[-1], seen.ended_at) == (4, 5)
    assert inputs.closed == 1
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_206_take_between_two_stages_ends_the_one_before_it() -> None:
    probe = Probe()

    async def before(item: int) -> int:
        await probe(1.0 if item == 0 else 100.0)
        return item

    async def behind(item: int) -> int:
        await asyncio.sleep(10)
        return item

    def build(run: Subscription) -> Observable[int]:
        items = values_of(range(9))(run)
        return items.pipe(
            flat_map(run, Mapped(before), 3), ops.take(1), flat_map(run, Mapped(behind), 3)
        )

    run, seen = started(Plan(build, 3))
    await run.join()
    # The others are cancelled at once, and have long ended when the second stage has.
    assert (seen.values, seen.ends, seen.ended_at) == ([0], ["completed"], 1 + CLEAN_UP + 10)
    assert len(probe.started) == 3
    probe.assert_cleaned()


# --- Failures ---


@both_isolations
async def test_what_a_mapper_raises_cancels_the_rest_and_ends_the_run(isolate: Isolation) -> None:
    probe, error = Probe(), ValueError("broken")

    async def mapper(item: int) -> None:
        if item == 2:
            await asyncio.sleep(3)
            raise error
        await probe(10.0)

    run, seen = started(lanes_plan(range(100), mapper, 4, isolate=isolate))
    await run.join()
    assert (seen.values, seen.ends, seen.ended_at) == ([], [error], 3 + CLEAN_UP)
    assert error.__traceback__ is not None
    assert len(probe.started) == 3
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_a_mapper_that_raises_before_there_is_a_coroutine_ends_the_run_too() -> None:
    error = ValueError("broken")

    def mapper(item: int) -> Any:
        raise error

    run, seen = started(lanes_plan([1, 2], mapper))
    await run.join()
    assert seen.ends == [error]


@pytest.mark.parametrize("stop", [StopIteration, StopAsyncIteration])
@both_isolations
async def test_an_error_that_means_the_end_elsewhere_is_no_silent_end(
    isolate: Isolation, stop: type[Exception]
) -> None:
    async def mapper(item: int) -> int:
        if item == 1:
            raise stop("in a mapper")
        return item

    run, seen = started(lanes_plan([0, 1, 2], mapper, 1, isolate=isolate))
    await run.join()
    (error,) = seen.ends
    assert seen.values == [0]
    assert isinstance(error, (RuntimeError, StopAsyncIteration))
    assert "in a mapper" in f"{error} {error.__cause__}"


@both_kinds
@both_isolations
@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_rule_r4_a_fatal_error_of_a_mapper_is_raised_after_all_is_joined(
    kind: str, isolate: Isolation, fatal: type[BaseException]
) -> None:
    probe, inputs = Probe(), Inputs()

    async def mapper(item: int) -> None:
        if item == 2:
            await asyncio.sleep(3)
            raise fatal("stop")
        await probe(10.0)

    with pytest.raises(fatal, match="stop"):
        await drain(lanes_plan(inputs.of(kind), mapper, 4, isolate=isolate), print)
    assert now() == 3 + CLEAN_UP + (CLEAN_UP if kind == "async" else 0)
    assert len(probe.cleaned) == 3
    assert inputs.closed == 1
    assert_only_the_caller_runs()


# --- Cancellation ---


async def step(item: int) -> int:
    """Suspend often and never for a time, also in the clean-up."""
    STEPS.append(f"start {item}")
    try:
        for _ in range(2):
            await asyncio.sleep(0)
        return item
    finally:
        # A first cancel may come here as well, and breaks off what is awaited.
        try:
            await asyncio.sleep(0)
        finally:
            STEPS.append(f"end {item}")


STEPS: list[str] = []


class QuickInputs(Inputs):
    """Inputs whose clean-up takes a turn and no time."""

    async def asynchronous(self) -> Any:
        try:
            for number in self._pull():
                await asyncio.sleep(0)
                yield number
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                self.closed += 1


async def draining(plan: Plan[Any]) -> None:
    await drain(plan, lambda _: None)


async def iterating(plan: Plan[Any]) -> None:
    async with CloseableAsyncIterator(plan) as iterator:
        async for _ in iterator:
            pass


@both_kinds
@both_isolations
@pytest.mark.parametrize("consumer", [draining, iterating])
async def test_rule_r4_a_cancel_at_every_await_leaves_nothing(
    kind: str, isolate: Isolation, consumer: Callable[[Plan[Any]], Awaitable[None]]
) -> None:
    for turns in range(60):
        STEPS.clear()
        inputs = QuickInputs(5)
        plan = lanes_plan(inputs.of(kind), step, 2, isolate=isolate)
        running = asyncio.ensure_future(consumer(plan))
        for _ in range(turns):
            await asyncio.sleep(0)
        if running.done():
            break
        running.cancel()
        assert isinstance(await raised_by(running), asyncio.CancelledError)
        assert_only_the_caller_runs()
        starts = sorted(entry.split()[1] for entry in STEPS if entry.startswith("start"))
        assert starts == sorted(entry.split()[1] for entry in STEPS if entry.startswith("end"))
        assert inputs.closed == (inputs.pulled > 0)
    # Every await of the run had its turn: the last run came to its own end.
    assert running.done()
    assert len(STEPS) == 10
    assert turns > 10


@both_kinds
@both_isolations
async def test_rule_r4_a_dispose_at_every_turn_leaves_nothing(
    kind: str, isolate: Isolation
) -> None:
    for turns in range(60):
        STEPS.clear()
        inputs, seen = QuickInputs(5), Seen()
        plan = lanes_plan(inputs.of(kind), step, 2, isolate=isolate)
        disposable = observe(plan).subscribe(seen)
        for _ in range(turns):
            await asyncio.sleep(0)
        disposable.dispose()
        before = list(seen.values)
        await asyncio.sleep(1)
        assert seen.values == before
        assert_only_the_caller_runs()
        assert inputs.closed == (inputs.pulled > 0)
    assert seen.ends == ["completed"]


@both_isolations
async def test_rule_r4_a_second_cancel_does_not_break_off_the_clean_up(isolate: Isolation) -> None:
    probe = Probe()
    running = asyncio.create_task(drain(lanes_plan([5.0] * 9, probe, 3, isolate=isolate), print))
    await asyncio.sleep(1)
    for _ in range(3):
        running.cancel()
        await asyncio.sleep(CLEAN_UP / 4)
    assert isinstance(await raised_by(running), asyncio.CancelledError)
    assert (len(probe.cleaned), now()) == (3, 1 + CLEAN_UP)
    assert_only_the_caller_runs()


@both_isolations
async def test_rule_r4_a_node_that_swallows_its_cancel_takes_no_further_item(
    isolate: Isolation,
) -> None:
    taken: list[int] = []

    async def stubborn(item: int) -> int:
        taken.append(item)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(CLEAN_UP)
        return item

    running = asyncio.create_task(drain(lanes_plan(range(9), stubborn, 2, isolate=isolate), print))
    await asyncio.sleep(1)
    running.cancel()
    assert isinstance(await raised_by(running), asyncio.CancelledError)
    assert (taken, now()) == ([0, 1], 1 + CLEAN_UP)
    assert_only_the_caller_runs()


@both_isolations
async def test_a_timeout_within_an_item_is_its_own_affair(isolate: Isolation) -> None:
    async def impatient(item: int) -> str:
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(item)
        except TimeoutError:
            return "late"
        return "in time"

    results: list[str] = []
    await drain(lanes_plan([1, 3, 1, 3], impatient, 1, isolate=isolate), results.append)
    assert results == ["in time", "late", "in time", "late"]
    assert now() == 6


@both_isolations
async def test_rule_r4_a_timeout_in_the_moment_of_the_cancel_does_not_undo_it(
    isolate: Isolation,
) -> None:
    timeouts: list[asyncio.Timeout] = []

    async def impatient(_: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as timeout:
                timeouts.append(timeout)
                await asyncio.sleep(100)
        await asyncio.sleep(100)

    run, seen = started(lanes_plan([1], impatient, isolate=isolate))
    await asyncio.sleep(1)
    # The timeout cancels the task first, and takes that back before the node goes on.
    timeouts[0].reschedule(now())
    run.loop.call_soon(run.cancel)
    await asyncio.sleep(0)
    await run.join()
    assert (now(), seen.values) == (1, [])
    assert_only_the_caller_runs()


def test_what_a_loop_leaves_behind_when_it_is_closed_still_runs_its_finally_blocks() -> None:
    loop, ended = VirtualTimeLoop(), list[int]()
    loop.set_exception_handler(lambda _, context: None)

    async def waiting(item: int) -> None:
        try:
            await never(item)
        finally:
            ended.append(item)

    async def leave() -> None:
        started(lanes_plan([1], waiting))
        await asyncio.sleep(1)

    loop.run_until_complete(leave())
    loop.close()
    gc.collect()
    assert ended == [1]


# --- Contexts ---


@both_isolations
@pytest.mark.parametrize("delay", [None, 0, 1])
async def test_rule_r6_items_do_not_see_each_other(isolate: Isolation, delay: int | None) -> None:
    async def mapper(item: int) -> tuple[Any, Any]:
        before = VARIABLE.get()
        token = VARIABLE.set(item)
        if delay is not None:
            await asyncio.sleep(delay)
        after = VARIABLE.get()
        if item % 2:
            VARIABLE.reset(token)
        return before, after

    VARIABLE.set("caller")
    results: list[tuple[Any, Any]] = []
    await drain(lanes_plan(range(20), mapper, 3, isolate=isolate), results.append)
    assert results == [("caller", item) for item in range(20)]
    assert VARIABLE.get() == "caller"


async def test_rule_r6_the_context_is_that_of_the_start_of_the_run() -> None:
    async def mapper(_: int) -> Any:
        return VARIABLE.get()

    VARIABLE.set("when it was planned")
    plan = lanes_plan(range(2), mapper)
    VARIABLE.set("when it was started")
    run, seen = started(plan)
    VARIABLE.set("when it ran")
    await run.join()
    assert seen.values == ["when it was started"] * 2


async def test_items_share_the_tasks_of_their_lanes() -> None:
    assert len(await tasks_of(9, "context")) == 2


async def test_isolated_items_have_a_task_each() -> None:
    assert len(await tasks_of(9, "task")) == 9


async def tasks_of(length: int, isolate: Isolation) -> set[Any]:
    """Return the tasks that the items of a run saw as their own."""
    tasks: set[Any] = set()

    async def mapper(_: int) -> None:
        mine = asyncio.current_task()
        await asyncio.sleep(1)
        assert asyncio.current_task() is mine
        tasks.add(mine)

    await drain(lanes_plan(range(length), mapper, 2, isolate=isolate), lambda _: None)
    assert asyncio.current_task() not in tasks
    return tasks


# --- The observer's own errors ---


async def test_rule_213_an_observer_that_raises_is_not_blamed_on_the_mapper() -> None:
    told, error, probe = caught_by_loop(), ValueError("in the observer"), Probe()
    errors: list[Any] = []

    def on_next(value: float) -> None:
        raise error

    observe(lanes_plan([1.0] + [5.0] * 9, probe)).subscribe(on_next, errors.append)
    await asyncio.sleep(10)
    assert (told, errors) == ([error], [])
    probe.assert_cleaned()
    assert_only_the_caller_runs()
