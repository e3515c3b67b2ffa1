"""One run: its window, its tasks and its end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from nadoo_flow.streams import Plan, Subscription, drain, find_outermost_run, flat_map
from nadoo_flow.streams.plan import MAX_WINDOW
from tests.work import Mapped

from ..stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by
from .runs import (
    Inputs,
    Seen,
    both_kinds,
    caught_by_loop,
    lanes_plan,
    never,
    same,
    sleeping,
    started,
    values_of,
)


def opened(max_concurrent: int, window: int | None = None) -> Subscription:
    return Plan(values_of([]), max_concurrent, window).open()


# --- The window ---


@pytest.mark.parametrize(
    ("max_concurrent", "window", "low"),
    [
        (1, 4, 3),
        (2, 8, 6),
        (3, 12, 9),
        (10, 40, 30),
        (16_384, 65_536, 49_152),
        (16_385, 65_536, 49_152),
        (70_000, 70_000, 69_999),
        (300_000, 262_144, 262_143),
    ],
)
async def test_rule_101_the_window_is_four_items_a_lane_and_refilled_at_three_quarters(
    max_concurrent: int, window: int, low: int
) -> None:
    run = opened(max_concurrent)
    assert (run.window, run.low) == (window, low)


@pytest.mark.parametrize(
    ("max_concurrent", "window", "low"),
    [
        pytest.param(1, 1, 0, id="one item at a time"),
        pytest.param(1, 2, 1, id="never as high as the window"),
        pytest.param(2, 100, 75, id="a large window for few lanes"),
        pytest.param(90, 100, 90, id="high enough for every lane"),
        pytest.param(100, 10, 9, id="a window that is smaller than the lanes are many"),
    ],
)
async def test_rule_101_a_window_of_ones_own_is_refilled_before_a_lane_runs_dry(
    max_concurrent: int, window: int, low: int
) -> None:
    run = opened(max_concurrent, window)
    assert (run.window, run.low) == (window, low)


async def test_rule_101_the_window_has_a_cap_of_its_own() -> None:
    inputs = Inputs()
    run, seen = started(Plan(values_of(inputs.sync()), 10**9))
    await asyncio.sleep(1)
    assert (run.window, run.low) == (MAX_WINDOW, MAX_WINDOW - 1)
    assert inputs.pulled == len(seen.values) == run.outstanding == 262_144
    run.cancel()


async def test_a_limit_of_a_billion_is_a_limit_like_any_other() -> None:
    probe, results = Probe(), list[float]()
    await drain(lanes_plan([1.0] * 50, probe, 10**9), results.append)
    assert probe.peak == 50
    assert now() == 1 + CLEAN_UP


@both_kinds
async def test_rule_101_the_source_is_asked_again_at_the_low_watermark(kind: str) -> None:
    inputs = Inputs()
    run, _ = started(Plan(values_of(inputs.of(kind)), 2))
    pulled = []
    for _ in range(4):
        await asyncio.sleep(1)
        pulled.append(inputs.pulled)
        run.release()
    assert (run.window, run.low) == (8, 6)
    # An async source waits for a place in the window, and is woken at the low watermark only.
    assert pulled == [8, 8, 10, 10]
    run.cancel()
    await run.join()


@pytest.mark.parametrize(
    ("window", "lanes", "limits"),
    [
        (1, 1, [1, 1, 1]),
        (2, 1, [1, 1, 1]),
        (9, 2, [4, 4, 4]),
        (9, 8, [8, 7, 6]),
        (9, 20, [8, 7, 6]),
    ],
)
async def test_rule_r28_an_operator_with_items_of_its_own_has_a_place_of_its_own(
    window: int, lanes: int, limits: list[int]
) -> None:
    run = Subscription(window, lanes)
    for behind, limit in enumerate(limits):
        assert run.reserve_place() == behind
        assert run.limit == limit
        assert run.limit + behind < run.window
        assert 0 <= run.low < run.limit


async def test_counts_of_a_run_are_there_for_everybody() -> None:
    run, seen = started(Plan(values_of(range(5)), 1, 3))
    await asyncio.sleep(1)
    assert (run.pulled, run.outstanding) == (3, 3)
    run.release(2)
    assert (run.pulled, run.outstanding) == (5, 3)
    assert seen.values == [0, 1, 2, 3, 4]
    run.cancel()


@pytest.mark.parametrize("number", [2**31, 2**63 - 1, 10**30])
async def test_rule_317_a_window_of_any_size_takes_what_there_is(number: int) -> None:
    run, seen = started(Plan(values_of(range(100)), 1, number))
    await asyncio.sleep(1)
    assert (run.window, run.outstanding, seen.values) == (number, 100, list(range(100)))
    run.release(100)
    await run.join()
    assert seen.ends == ["completed"]


@pytest.mark.parametrize("number", [2**31, 2**63 - 1, 10**30])
async def test_rule_317_a_limit_of_any_size_makes_no_more_lanes_than_items(number: int) -> None:
    run, seen = started(lanes_plan(range(100), sleeping, number))
    await asyncio.sleep(0.5)
    assert len(asyncio.all_tasks()) == 1 + 100
    await run.join()
    assert (sorted(seen.values), seen.ended_at) == (list(range(100)), 1)


# --- Releases ---


@both_kinds
@pytest.mark.parametrize("window", [1, 2, 8])
async def test_rule_302_an_item_may_be_released_while_it_is_delivered(
    kind: str, window: int
) -> None:
    steps: list[tuple[str, int]] = []

    class Releasing(Seen):
        def on_next(self, value: int) -> None:
            steps.append(("begins", value))
            run.release()
            steps.append(("ends", value))
            super().on_next(value)

    plan, seen = Plan(values_of(Inputs(20).of(kind)), 1, window), Releasing()
    run = plan.open()
    run.start(plan.build, seen)
    await run.join()
    assert steps == [(step, value) for value in range(20) for step in ("begins", "ends")]
    assert (seen.ends, run.outstanding) == (["completed"], 0)


async def test_rule_306_a_release_after_cancel_does_nothing() -> None:
    inputs = Inputs()
    run, seen = started(Plan(values_of(inputs.sync()), 1))
    await asyncio.sleep(1)
    run.cancel()
    run.release(4)
    run.release(1000)
    await asyncio.sleep(1)
    assert (inputs.pulled, seen.values, seen.ends) == (4, [0, 1, 2, 3], [])


@pytest.mark.parametrize("error", [None, OSError("broken")])
async def test_rule_306_a_release_after_the_end_does_nothing(error: Exception | None) -> None:
    inputs = Inputs(3, error)
    run, seen = started(Plan(values_of(inputs.sync()), 1))
    await run.join()
    run.release()
    run.release(1000)
    assert seen.ends == [error or "completed"]
    assert inputs.pulled == 3


async def test_rule_309_settling_more_than_is_outstanding_is_an_error() -> None:
    run, _ = started(Plan(values_of(Inputs().sync()), 1, 2))
    with pytest.raises(ValueError, match="released 1 items, but only 0 are outstanding"):
        run.release()
    await asyncio.sleep(1)
    with pytest.raises(ValueError, match="released 3 items, but only 2 are outstanding"):
        run.release(3)
    assert (run.outstanding, run.pulled) == (2, 2)
    run.release(2)
    assert (run.outstanding, run.pulled) == (2, 4)
    run.cancel()


# --- Signals ---


@both_kinds
async def test_rule_105_completion_comes_once_and_after_every_task_and_source(kind: str) -> None:
    probe, inputs = Probe(), Inputs(3)
    run, seen = started(lanes_plan(inputs.of(kind), lambda _: probe(1.0), 5))
    await run.join()
    assert seen.ends == ["completed"]
    assert (len(probe.cleaned), inputs.closed) == (3, 1)
    assert seen.ended_at == seen.times[-1] == 1 + CLEAN_UP
    assert_only_the_caller_runs()


async def test_rule_105_completion_waits_for_a_task_that_is_behind() -> None:
    """Also for one that no operator waits for."""

    def build(run: Subscription) -> Observable[int]:
        run.tasks.spawn_lane(lambda: tidy(run))
        return values_of([1])(run)

    async def tidy(_: Subscription) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(CLEAN_UP)

    run, seen = started(Plan(build, 1))
    await run.join()
    assert (seen.values, seen.ends, seen.ended_at) == ([1], ["completed"], CLEAN_UP)


@pytest.mark.parametrize("end", ["completed", "failed"])
async def test_rule_107_nothing_comes_after_the_end(end: str) -> None:
    subject: Subject[int] = Subject()
    run, seen = started(Plan(lambda _: subject, 1))
    subject.on_next(1)
    error = OSError("broken")
    run.fail(error) if end == "failed" else subject.on_completed()
    run.fail(OSError("another"))
    subject.on_next(2)
    await run.join()
    run.cancel()
    assert (seen.values, seen.ends) == ([1], [error if end == "failed" else "completed"])


@both_kinds
@pytest.mark.parametrize("error", [None, OSError("broken")])
async def test_rule_108_a_cancel_during_the_clean_up_silences_the_end(
    kind: str, error: Exception | None
) -> None:
    probe, inputs = Probe(), Inputs(3, error)
    run, seen = started(lanes_plan(inputs.of(kind), lambda _: probe(1.0), 1))
    await asyncio.sleep(0)
    run.fail(OSError("the run failed"))
    run.cancel()
    await run.join()
    assert (seen.values, seen.ends) == ([], [])


@both_kinds
async def test_rule_108_nothing_comes_after_cancel(kind: str) -> None:
    inputs = Inputs()
    run, seen = started(lanes_plan(inputs.of(kind), sleeping, 2))
    await asyncio.sleep(1.5)
    run.cancel()
    before = list(seen.values)
    await run.join()
    await asyncio.sleep(10)
    assert before == seen.values == [0, 1]
    assert seen.ends == []
    assert inputs.pulled == 8


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_208_what_finishes_after_the_cancel_is_discarded(isolate: Any) -> None:
    finished: list[int] = []

    async def mapper(item: int) -> int:
        try:
            await never(item)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            finished.append(item)
        return item

    logged = caught_by_loop()
    run, seen = started(lanes_plan(range(9), mapper, 3, isolate=isolate))
    await asyncio.sleep(1)
    run.cancel()
    await run.join()
    assert sorted(finished) == [0, 1, 2]
    assert (seen.values, seen.ends, logged) == ([], [], [])


async def test_the_first_failure_counts() -> None:
    probe, first = Probe(), OSError("first")
    run, seen = started(lanes_plan([5.0], probe))
    await asyncio.sleep(1)
    run.fail(first)
    await asyncio.sleep(CLEAN_UP / 2)
    run.fail(OSError("second"))
    await run.join()
    assert (seen.ends, seen.ended_at) == ([first], 1 + CLEAN_UP)
    probe.assert_cleaned()


# --- The end ---


async def test_rule_305_cancelling_twice_is_cancelling_once() -> None:
    probe, inputs = Probe(), Inputs()
    run, seen = started(lanes_plan(inputs.sync(), lambda _: probe(5.0)))
    await asyncio.sleep(1)
    for _ in range(3):
        run.cancel()
        await asyncio.sleep(CLEAN_UP / 4)
    await run.join()
    run.cancel()
    await run.join()
    # A second cancel that reached the lanes would have broken off their clean-up.
    assert now() == 1 + CLEAN_UP
    assert (len(probe.cleaned), inputs.closed, seen.ends) == (2, 1, [])


async def test_cancel_before_the_first_turn_pulls_nothing() -> None:
    for kind in ("sync", "async"):
        inputs = Inputs()
        run, seen = started(lanes_plan(inputs.of(kind)))
        run.cancel()
        await run.join()
        await asyncio.sleep(1)
        assert (inputs.pulled, seen.values, seen.ends) == (0, [], [])
    assert_only_the_caller_runs()


async def test_rule_r4_join_waits_for_every_finally_and_then_for_the_sources() -> None:
    events: list[str] = []

    async def closing() -> None:
        await asyncio.sleep(CLEAN_UP)
        events.append("source closed")

    async def mapper(item: int) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(CLEAN_UP)
            events.append(f"item {item} ended")

    run, _ = started(lanes_plan([1, 2], mapper))
    run.add_cleanup(closing)
    await asyncio.sleep(1)
    run.cancel()
    assert not run.finished
    await run.join()
    assert run.finished
    assert sorted(events[:2]) == ["item 1 ended", "item 2 ended"]
    assert events[2:] == ["source closed"]
    assert now() == 1 + 2 * CLEAN_UP
    assert_only_the_caller_runs()


async def test_rule_r4_a_cancelled_join_is_delivered_after_the_clean_up() -> None:
    probe = Probe()
    run, _ = started(lanes_plan([5.0], probe))
    await asyncio.sleep(1)
    run.cancel()
    joining = asyncio.create_task(run.join())
    await asyncio.sleep(CLEAN_UP / 2)
    joining.cancel()
    await asyncio.sleep(CLEAN_UP / 4)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert now() == 1 + CLEAN_UP
    probe.assert_cleaned()


async def test_rule_r4_a_join_that_is_cancelled_again_and_again_keeps_nothing_of_it() -> None:
    def futures() -> int:
        return sum(isinstance(found, asyncio.Future) for found in gc.get_objects())

    probe = Probe()
    run, _ = started(lanes_plan([5.0], probe))
    await asyncio.sleep(1)
    run.cancel()
    joining = asyncio.create_task(run.join())
    before = futures()
    for _ in range(1_000):
        await asyncio.sleep(0)
        joining.cancel()
    assert futures() - before < 100
    with pytest.raises(asyncio.CancelledError):
        await joining
    probe.assert_cleaned()


async def test_all_who_join_are_woken() -> None:
    run, _ = started(lanes_plan([1], sleeping))
    await asyncio.gather(*(run.join() for _ in range(3)))
    assert now() == 1


async def test_rule_r4_a_node_that_swallows_its_cancel_is_awaited_and_not_heard() -> None:
    async def stubborn(item: int) -> int:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(CLEAN_UP)
        return item

    for isolate in ("context", "task"):
        began = now()
        run, seen = started(lanes_plan(range(10), stubborn, isolate=isolate))
        await asyncio.sleep(1)
        run.cancel()
        await run.join()
        assert (seen.values, seen.ends, now() - began) == ([], [], 1 + CLEAN_UP)
    assert_only_the_caller_runs()


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_a_run_cannot_be_joined_from_inside_one_of_its_nodes(isolate: Any) -> None:
    async def mapper(_: int) -> BaseException | None:
        return await raised_by(run.join())

    run, seen = started(lanes_plan([1], mapper, isolate=isolate))
    await asyncio.sleep(1)
    run.cancel()
    (error,) = seen.values
    assert str(error) == "a run cannot be awaited or closed from inside one of its own nodes"


@pytest.mark.parametrize("failing_first", [True, False])
async def test_every_source_is_closed_although_one_raises_while_it_is(failing_first: bool) -> None:
    told, closed, error = caught_by_loop(), list[int](), OSError("cannot close")

    async def fails() -> None:
        raise error

    async def closes() -> None:
        closed.append(1)

    run, seen = started(lanes_plan([1, 2], never))
    cleanups: list[Callable[[], Awaitable[None]]] = [fails, closes]
    for cleanup in cleanups if failing_first else reversed(cleanups):
        run.add_cleanup(cleanup)
    await asyncio.sleep(1)
    run.cancel()
    await run.join()
    assert (closed, told, seen.ends) == ([1], [error], [])


async def test_a_task_that_is_cancelled_from_outside_ends_its_run() -> None:
    probe = Probe()
    run, seen = started(lanes_plan([5.0, 6.0], probe))
    await asyncio.sleep(1)
    lane = next(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
    lane.cancel()
    await run.join()
    (error,) = seen.ends
    assert isinstance(error, asyncio.CancelledError)
    assert str(error) == "a task of the run was cancelled from outside"
    probe.assert_cleaned()


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_r4_a_cancel_of_all_tasks_does_not_break_off_the_clean_up(isolate: Any) -> None:
    """As at the end of ``asyncio.run``: the run cancels tasks that were cancelled before."""
    cleaned: list[int] = []

    async def mapper(item: int) -> None:
        try:
            await never(item)
        finally:
            # The first that ends makes the run cancel the others, in the middle of theirs.
            await asyncio.sleep(item)
            cleaned.append(item)

    run, _ = started(lanes_plan([1, 2, 3, 4], mapper, 4, isolate=isolate))
    await asyncio.sleep(1)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await run.join()
    assert (cleaned, now()) == ([1, 2, 3, 4], 1 + 4)
    assert_only_the_caller_runs()


async def fatal_in_clean_up(item: Any) -> None:
    try:
        await never(item)
    finally:
        await asyncio.sleep(CLEAN_UP)
        raise KeyboardInterrupt("in the clean-up")


async def test_rule_r4_a_fatal_error_in_the_clean_up_is_raised_by_whoever_joins() -> None:
    for isolate in ("context", "task"):
        run, seen = started(lanes_plan([1, 2], fatal_in_clean_up, isolate=isolate))
        await asyncio.sleep(1)
        run.cancel()
        with pytest.raises(KeyboardInterrupt, match="in the clean-up"):
            await run.join()
        assert seen.ends == []
        assert_only_the_caller_runs()


async def test_rule_r4_a_fatal_error_in_the_clean_up_outranks_the_error_before_it() -> None:
    run, seen = started(lanes_plan([1, 2], fatal_in_clean_up))
    await asyncio.sleep(1)
    run.fail(OSError("broken"))
    await asyncio.sleep(2 * CLEAN_UP)
    assert [type(end) for end in seen.ends] == [KeyboardInterrupt]
    assert_only_the_caller_runs()


async def test_rule_r4_a_fatal_error_in_the_clean_up_that_nobody_awaits_is_told_to_the_loop() -> (
    None
):
    told = caught_by_loop()
    run, seen = started(lanes_plan([1, 2], fatal_in_clean_up))
    await asyncio.sleep(1)
    run.cancel()
    await asyncio.sleep(2 * CLEAN_UP)
    assert [type(error) for error in told] == [KeyboardInterrupt]
    assert seen.ends == []


async def test_a_chain_that_ends_while_it_is_subscribed_to_is_disposed_of() -> None:
    disposed: list[bool] = []

    def subscribe(
        observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        observer.on_completed()
        return Disposable(lambda: disposed.append(True))

    run, seen = started(Plan(lambda _: Observable(subscribe), 1))
    await run.join()
    assert (disposed, seen.ends) == ([True], ["completed"])


def test_a_run_outside_of_a_loop_is_a_clear_error() -> None:
    with pytest.raises(RuntimeError, match=r"^a run needs a running event loop: start it inside a"):
        Plan(values_of([]), 1).open()


async def test_an_error_while_the_chain_is_built_is_raised_by_start() -> None:
    def build(run: Subscription) -> Observable[int]:
        raise OSError("cannot build")

    with pytest.raises(OSError, match="cannot build"):
        await drain(Plan(build, 1), print)
    assert_only_the_caller_runs()


async def test_through_adds_an_operator_behind_the_chain() -> None:
    def doubling(source: Observable[int]) -> Observable[int]:
        return source.pipe(flat_map(run_of[0], Mapped(twice), 1))

    async def twice(value: int) -> int:
        return 2 * value

    run_of: list[Subscription] = []

    def build(run: Subscription) -> Observable[int]:
        run_of.append(run)
        return values_of([1, 2, 3])(run)

    plan = Plan(build, 3, 7).pipe(doubling)
    results: list[int] = []
    run = await drain(plan, results.append)
    assert (results, run.window) == ([2, 4, 6], 7)


# --- What is kept ---


class Thing:
    """Something whose end can be watched."""


async def failing(_: object) -> None:
    raise OSError("broken")


class Watched(Seen):
    """An observer whose end can be watched."""


MAPPERS: dict[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
    "completed": same,
    "taken": same,
    "failed": failing,
    "cancelled": never,
}


def begun(end: str, through_lanes: bool) -> tuple[Subscription, list[weakref.ref[Any]]]:
    """Start a run and watch its items, its observer and the function that works on them."""
    things, observer = [Thing() for _ in range(9)], Watched()

    async def node(item: Thing) -> Any:
        return await MAPPERS[end](item)

    plan = lanes_plan(things, node) if through_lanes else Plan(values_of(things), 2)
    plan = plan.pipe(ops.take(2)) if end == "taken" else plan
    run = plan.open()
    run.start(plan.build, observer)
    return run, [weakref.ref(watched) for watched in (*things, observer, node)]


@pytest.mark.parametrize(
    ("end", "through_lanes"),
    [
        *((end, True) for end in MAPPERS),
        *((end, False) for end in ("completed", "taken", "cancelled")),
    ],
)
async def test_rule_313_a_finished_run_keeps_nothing_alive(end: str, through_lanes: bool) -> None:
    run, watched = begun(end, through_lanes)
    await asyncio.sleep(1)
    run.release(min(run.outstanding, 3))
    if end == "cancelled":
        run.cancel()
    await run.join()
    gc.collect()
    # The handle is still held here, and holds nothing else.
    assert run.finished
    assert [reference() for reference in watched] == [None] * len(watched)


@both_kinds
async def test_rule_313_a_finished_run_does_not_keep_its_generator(kind: str) -> None:
    generator = Inputs(3).of(kind)
    run, _ = started(lanes_plan(generator))
    await run.join()
    watched = weakref.ref(generator)
    del generator
    gc.collect()
    assert run.finished
    assert watched() is None


# --- The run around ---


async def test_what_is_called_in_a_run_finds_the_outermost_run_around_it() -> None:
    async def inner(item: int) -> Subscription | None:
        return find_outermost_run()

    async def outer(item: int) -> list[Subscription | None]:
        found: list[Subscription | None] = []
        await drain(lanes_plan([1, 2], inner), found.append)
        return found

    found: list[list[Subscription | None]] = []
    run = await drain(lanes_plan([1], outer), found.append)
    assert find_outermost_run() is None
    assert found == [[run, run]]


async def test_a_finished_run_is_around_nothing_any_more() -> None:
    async def later(item: int) -> asyncio.Task[Subscription | None]:
        return asyncio.create_task(asked())

    async def asked() -> Subscription | None:
        await asyncio.sleep(5)
        return find_outermost_run()

    found: list[asyncio.Task[Subscription | None]] = []
    run = await drain(lanes_plan([1], later), found.append)
    assert run.finished
    assert await found[0] is None


@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_run_of_another_loop_is_not_around() -> None:
    async def elsewhere(item: int) -> Subscription | None:
        return await asyncio.to_thread(asyncio.run, asked())

    async def asked() -> Subscription | None:
        return find_outermost_run()

    found: list[Subscription | None] = []
    await drain(lanes_plan([1], elsewhere), found.append)
    assert found == [None]
