"""Iterables and async iterables as sources that emit within demand."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from nadoo_flow.streams import (
    CloseableAsyncIterator,
    Plan,
    Subscription,
    as_source,
    drain,
    flat_map,
    observe,
)
from nadoo_flow.streams.sources.pump import Pump, SourceFailed
from tests.work import Mapped

from ...stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, observed, raised_by
from ..runs import (
    Inputs,
    Seen,
    both_kinds,
    caught_by_loop,
    lanes_plan,
    ordered_plan,
    same,
    sleeping,
    stack_depth,
    started,
    values_of,
)


async def collected(plan: Plan[Any]) -> list[Any]:
    """Drain a run into a list."""
    results: list[Any] = []
    await drain(plan, results.append)
    return results


# --- Demand ---


@both_kinds
@pytest.mark.parametrize("window", [1, 2, 7])
async def test_rule_101_what_was_pulled_and_not_settled_never_exceeds_the_window(
    kind: str, window: int
) -> None:
    inputs, ahead = Inputs(50), list[int]()
    run, seen = started(Plan(values_of(inputs.of(kind)), 1, window))
    for settled in range(50):
        await asyncio.sleep(1)
        ahead.append(inputs.pulled - settled)
        run.release()
    await run.join()
    assert max(ahead) == window
    assert seen.values == list(range(50))


@both_kinds
async def test_rule_101_a_consumer_that_stops_taking_stops_the_source(kind: str) -> None:
    inputs = Inputs()
    iterator = CloseableAsyncIterator(lanes_plan(inputs.of(kind), same, 2))
    async with iterator:
        await anext(iterator)
        await asyncio.sleep(100)
        # One was taken; the low watermark of a window of eight is six.
        assert inputs.pulled == 8
        await anext(iterator)
        await asyncio.sleep(100)
        assert inputs.pulled == 10


@both_kinds
async def test_rule_101_one_slow_item_holds_up_no_more_than_a_window(kind: str) -> None:
    inputs = Inputs(100)

    async def first_is_slow(item: int) -> int:
        await asyncio.sleep(100 if item == 0 else 1)
        return item

    results: list[int] = []
    running = asyncio.create_task(
        _into(results, ordered_plan(inputs.of(kind), first_is_slow, max_concurrent=2))
    )
    await asyncio.sleep(99)
    # The results behind the slow one are there, but not settled: they wait for their turn.
    assert (inputs.pulled, results) == (8, [])
    await running
    assert results == list(range(100))


async def _into(results: list[Any], plan: Plan[Any]) -> None:
    await drain(plan, results.append)


@both_kinds
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100])
async def test_rule_102_inputs_of_any_length_come_to_their_end(kind: str, length: int) -> None:
    inputs = Inputs(length)
    assert await collected(lanes_plan(inputs.of(kind), same, 2)) == list(range(length))
    assert (inputs.pulled, inputs.closed) == (length, 1)


@both_kinds
@pytest.mark.parametrize("length", [0, 1, 8, 100])
async def test_rule_102_also_where_nothing_is_settled_before_the_end(
    kind: str, length: int
) -> None:
    run, seen = started(Plan(values_of(Inputs(length).of(kind)), 1, 101))
    await run.join()
    assert (seen.values, seen.ends) == (list(range(length)), ["completed"])


@pytest.mark.parametrize("window", [1, 8])
async def test_rule_303_a_hundred_thousand_releases_in_the_observer_do_not_nest(
    window: int,
) -> None:
    plan = Plan(values_of(range(100_000)), 1, window)
    run, depths, ended = plan.open(), list[int](), list[bool]()

    class Settling(Seen):
        def on_next(self, value: int) -> None:
            run.release()
            if value in (10, 99_999):
                depths.append(stack_depth())

        def on_completed(self) -> None:
            ended.append(True)

    run.start(plan.build, Settling())
    await run.join()
    assert ended == [True]
    assert depths[0] == depths[1]


@pytest.mark.slow
async def test_rule_303_a_hundred_thousand_releases_from_outside_do_not_nest() -> None:
    depths: set[int] = set()

    async def mapper(item: int) -> int:
        if item % 1000 == 999:
            depths.add(stack_depth())
        return item

    taken = 0
    async for _ in CloseableAsyncIterator(ordered_plan(range(100_000), mapper)):
        taken += 1
    assert taken == 100_000
    assert len(depths) == 1


async def test_a_release_that_brings_demand_is_served_within_the_call() -> None:
    inputs = Inputs()
    run, seen = started(Plan(values_of(inputs.sync()), 1))
    await asyncio.sleep(1)
    run.release(4)
    assert seen.values == list(range(8))
    run.cancel()


# --- Beginning ---


@both_kinds
async def test_rule_109_subscribing_emits_and_pulls_nothing(kind: str) -> None:
    inputs, seen = Inputs(3), Seen()
    observe(Plan(values_of(inputs.of(kind)), 1)).subscribe(seen)
    assert (inputs.pulled, seen.values, seen.ends) == (0, [], [])
    await asyncio.sleep(2 * CLEAN_UP)
    assert (seen.values, seen.ends) == ([0, 1, 2], ["completed"])


async def test_rule_109_an_empty_source_completes_later_too() -> None:
    seen = Seen()
    observe(Plan(values_of([]), 1)).subscribe(seen)
    assert seen.ends == []
    await asyncio.sleep(0)
    assert seen.ends == ["completed"]


async def test_rule_109_an_iterable_is_opened_later_too() -> None:
    opened: list[str] = []

    class Inputs:
        def __iter__(self) -> Iterator[int]:
            opened.append("sync")
            return iter([1])

    class AsyncInputs:
        async def __aiter__(self) -> AsyncIterator[int]:
            opened.append("async")
            yield 1

    for inputs in (Inputs(), AsyncInputs()):
        before = list(opened)
        run, _ = started(Plan(values_of(inputs), 1))
        assert opened == before
        await run.join()
    assert opened == ["sync", "async"]


# --- Running twice ---


async def test_rule_110_a_list_runs_as_often_as_it_is_asked_to() -> None:
    plan = lanes_plan(as_source([1, 2, 3], "inputs"))
    assert await collected(plan) == [1, 2, 3]
    assert await collected(plan) == [1, 2, 3]


async def test_rule_110_runs_at_the_same_time_do_not_share_items() -> None:
    observable = observe(lanes_plan(as_source(range(4), "inputs"), sleeping, 1))
    values: list[list[int]] = [[], []]
    await asyncio.gather(*(observed(observable, into) for into in values))
    assert values == [[0, 1, 2, 3], [0, 1, 2, 3]]


@both_kinds
async def test_rule_110_an_iterator_that_was_run_before_is_a_clear_error(kind: str) -> None:
    plan = lanes_plan(as_source(Inputs(3).of(kind), "inputs"))
    assert await collected(plan) == [0, 1, 2]
    with pytest.raises(
        RuntimeError,
        match="the inputs are an iterator, which can be run only once; "
        "pass a list, or make a new iterator for each run",
    ):
        await collected(plan)


@both_kinds
async def test_rule_110_an_iterator_that_is_running_is_not_shared_silently(kind: str) -> None:
    observable = observe(lanes_plan(as_source(Inputs(3).of(kind), "inputs"), sleeping, 1))
    first, second = list[int](), list[int]()
    errors = await asyncio.gather(observed(observable, first), observed(observable, second))
    assert (first, second, errors[0]) == ([0, 1, 2], [], None)
    assert "run only once" in str(errors[1])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1}, "got {'a': 1} (dict); for a single one pass [inputs]"),
        ("text", "got 'text' (str); for a single one pass [inputs]"),
        (b"bytes", "got b'bytes' (bytes); for a single one pass [inputs]"),
        (5, "got 5 (int)"),
        (None, "got None (NoneType)"),
    ],
)
def test_a_single_value_is_no_source(value: object, message: str) -> None:
    with pytest.raises(TypeError) as raised:
        as_source(value, "inputs")
    expected = "inputs must be an iterable, async iterable or Observable of items, "
    assert str(raised.value) == expected + message


# --- Errors ---


@both_kinds
@pytest.mark.parametrize("length", [0, 1, 8, 20])
async def test_rule_104_an_error_midway_comes_after_all_that_was_finished(
    kind: str, length: int
) -> None:
    error = OSError("the source broke")
    run, seen = started(lanes_plan(Inputs(length, error).of(kind), sleeping, 2, window=100))
    await run.join()
    assert seen.values == list(range(length))
    assert seen.ends == [error]
    assert_only_the_caller_runs()


@both_kinds
async def test_rule_104_an_error_that_a_release_pulls_does_not_come_out_of_it(kind: str) -> None:
    error = OSError("the source broke")
    run, seen = started(Plan(values_of(Inputs(2, error).of(kind)), 1, 2))
    await asyncio.sleep(1)
    assert seen.ends == []
    run.release(2)
    await run.join()
    assert (seen.values, seen.ends) == ([0, 1], [error])


@pytest.mark.parametrize("sort", ["iterable", "async iterable"])
@pytest.mark.parametrize("where", ["when it is opened", "at the first item"])
async def test_rule_104_an_iterable_that_fails_at_once_is_an_error_of_the_run(
    sort: str, where: str
) -> None:
    error = OSError("cannot be read")

    class Broken:
        def __iter__(self) -> Any:
            if where == "when it is opened":
                raise error
            return self

        __aiter__ = __iter__

        def __next__(self) -> int:
            raise error

        async def __anext__(self) -> int:
            raise error

    run, seen = started(lanes_plan(_only(Broken, sort)))
    await run.join()
    assert (seen.values, seen.ends) == ([], [error])


def _only(broken: type, sort: str) -> Any:
    """Make an instance that can be iterated in one way only."""
    hidden = "__aiter__" if sort == "iterable" else "__iter__"
    return type("Broken", (broken,), {hidden: None})()


async def test_rule_104_a_source_that_raises_queue_empty_has_failed() -> None:
    """As ``iter(queue.get_nowait, None)`` does; it must not be taken for "nothing yet"."""
    inbox: queue.Queue[int] = queue.Queue()
    inbox.put(1)
    run, seen = started(lanes_plan(iter(inbox.get_nowait, None)))
    await run.join()
    assert seen.values == [1]
    assert isinstance(seen.ends[0], queue.Empty)


async def test_rule_104_a_stray_cancelled_error_of_an_async_source_is_an_error() -> None:
    async def stray() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError("nobody asked")

    run, seen = started(lanes_plan(stray()))
    await run.join()
    (error,) = seen.ends
    assert seen.values == [1]
    assert isinstance(error, RuntimeError)
    assert str(error) == "the inputs raised a CancelledError, although the run was not cancelled"


@both_kinds
@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_rule_r4_a_fatal_error_of_a_source_is_raised_after_all_is_joined(
    kind: str, fatal: type[BaseException]
) -> None:
    probe, inputs = Probe(), Inputs(9, fatal("stop"))

    async def mapper(item: int) -> None:
        await probe(1.0 if item < 2 else 10.0)

    with pytest.raises(fatal, match="stop"):
        await collected(lanes_plan(inputs.of(kind), mapper))
    # The first two items end after one second and their clean-up, and let the source go on. An
    # async generator cleans up within its pull, while the next two items are at work.
    source_clean_up = 0 if kind == "sync" else CLEAN_UP
    assert now() == (1 + CLEAN_UP) + source_clean_up + CLEAN_UP
    assert len(probe.finished) == 2 < len(probe.started)
    probe.assert_cleaned()
    assert inputs.closed == 1
    assert_only_the_caller_runs()


@both_kinds
@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_a_fatal_error_at_the_first_pull_is_raised_too(
    kind: str, fatal: type[BaseException]
) -> None:
    with pytest.raises(fatal, match="stop"):
        await collected(lanes_plan(Inputs(0, fatal("stop")).of(kind)))
    assert_only_the_caller_runs()


# --- Ends ---


@both_kinds
@pytest.mark.parametrize("end", ["completed", "failed"])
async def test_rule_203_nothing_is_pulled_out_of_a_terminal_handler(kind: str, end: str) -> None:
    error, inputs, pulled = OSError("broken"), Inputs(), list[int]()
    plan = Plan(values_of(inputs.of(kind)), 1).pipe(ops.take(3 if end == "completed" else 99))
    run = plan.open()

    class Greedy(Seen):
        def on_completed(self) -> None:
            pulled.append(inputs.pulled)
            run.release(run.outstanding)
            run.release(1000)
            super().on_completed()

        def on_error(self, error: BaseException) -> None:
            self.on_completed()
            super().on_error(error)

    seen = Greedy()
    run.start(plan.build, seen)
    await asyncio.sleep(1)
    if end == "failed":
        run.fail(error)
    await run.join()
    await asyncio.sleep(1)
    assert pulled == [3 if end == "completed" else 4]
    assert inputs.pulled == pulled[0]
    assert seen.ends == ["completed"] + [error] * (end == "failed")


@both_kinds
async def test_rule_203_the_source_is_not_asked_again_after_its_end(kind: str) -> None:
    asked: list[int] = []

    class Ending:
        def __next__(self) -> int:
            asked.append(len(asked))
            if len(asked) > 5:
                raise StopIteration
            return len(asked)

        async def __anext__(self) -> int:
            try:
                return next(self)
            except StopIteration:
                raise StopAsyncIteration from None

    class Sync(Ending):
        def __iter__(self) -> Any:
            return self

    class Async(Ending):
        def __aiter__(self) -> Any:
            return self

    # Items that are settled after the end of the source bring demand that nobody must serve.
    source = Sync() if kind == "sync" else Async()
    assert await collected(lanes_plan(source, sleeping, 1)) == [1, 2, 3, 4, 5]
    assert len(asked) == 6


@both_kinds
@pytest.mark.parametrize("n", [1, 2, 4])
async def test_rule_206_a_chain_that_has_enough_pulls_not_one_more(kind: str, n: int) -> None:
    inputs, seen = Inputs(), Seen()
    observe(Plan(values_of(inputs.of(kind)), 1)).pipe(ops.take(n)).subscribe(seen)
    await asyncio.sleep(10)
    assert (seen.values, seen.ends) == (list(range(n)), ["completed"])
    assert (inputs.pulled, inputs.closed) == (n, 1)
    assert_only_the_caller_runs()


@both_kinds
async def test_rule_206_an_operator_that_has_enough_stops_the_source_while_the_run_goes_on(
    kind: str,
) -> None:
    inputs, results = Inputs(), list[int]()

    def build(run: Subscription) -> Observable[int]:
        return values_of(inputs.of(kind))(run).pipe(ops.take(2), flat_map(run, Mapped(sleeping), 1))

    await drain(Plan(build, 1, 10), results.append)
    assert (results, now()) == ([0, 1], 2 if kind == "sync" else 2 + CLEAN_UP)
    assert (inputs.pulled, inputs.closed) == (2, 1)


@both_kinds
async def test_rule_313_a_generator_is_closed_when_its_run_is_cancelled(kind: str) -> None:
    inputs = Inputs()
    iterator = CloseableAsyncIterator(lanes_plan(inputs.of(kind), sleeping))
    await anext(iterator)
    assert inputs.closed == 0
    await iterator.aclose()
    assert inputs.closed == 1


@both_kinds
async def test_rule_313_a_generator_is_closed_when_a_mapper_fails(kind: str) -> None:
    inputs, error = Inputs(), OSError("broken")

    async def failing(item: int) -> int:
        if item == 5:
            raise error
        return item

    generator = inputs.of(kind)
    assert await raised_by(collected(lanes_plan(generator, failing))) is error
    assert inputs.closed == 1


@both_kinds
async def test_rule_313_the_generator_of_an_iterable_is_closed_too(kind: str) -> None:
    inputs, opened = Inputs(), list[Any]()

    class Sync:
        def __iter__(self) -> Any:
            opened.append(inputs.of(kind))
            return opened[0]

    class Async:
        def __aiter__(self) -> Any:
            return Sync.__iter__(self)  # type: ignore[arg-type]

    iterator = CloseableAsyncIterator(lanes_plan(Sync() if kind == "sync" else Async()))
    await anext(iterator)
    await iterator.aclose()
    assert inputs.closed == 1


async def test_rule_313_a_generator_that_waits_in_its_pull_is_cancelled_and_closed() -> None:
    events: list[str] = []

    async def waiting() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        finally:
            await asyncio.sleep(CLEAN_UP)
            events.append("closed")

    iterator = CloseableAsyncIterator(lanes_plan(waiting()))
    await anext(iterator)
    await iterator.aclose()
    assert events == ["cancelled", "closed"]
    assert now() == CLEAN_UP
    assert_only_the_caller_runs()


async def test_rule_108_a_source_that_swallows_its_cancel_is_not_heard() -> None:
    async def stubborn() -> AsyncIterator[int]:
        for number in range(5):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                await asyncio.sleep(CLEAN_UP)
            yield number

    run, seen = started(lanes_plan(stubborn()))
    await asyncio.sleep(1)
    run.cancel()
    await run.join()
    assert (seen.values, seen.ends, now()) == ([], [], 1 + CLEAN_UP)
    assert_only_the_caller_runs()


@both_kinds
async def test_a_generator_that_raises_while_it_is_closed_is_told_to_the_loop(kind: str) -> None:
    told, error = caught_by_loop(), OSError("cannot close")

    def sync() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise error

    async def asynchronous() -> AsyncIterator[int]:
        generator = sync()
        try:
            while True:
                yield next(generator)
        finally:
            generator.close()  # type: ignore[attr-defined]

    run, seen = started(lanes_plan(sync() if kind == "sync" else asynchronous()).pipe(ops.take(1)))
    await run.join()
    assert (seen.values, seen.ends, told) == ([1], ["completed"], [error])


# --- Contexts ---


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")


@both_kinds
async def test_rule_r6_what_a_source_sets_stays_in_the_source(kind: str) -> None:
    seen_by_source: list[str] = []
    seen_by_items: set[str] = set()

    def sync() -> Iterator[int]:
        for number in range(30):
            seen_by_source.append(VARIABLE.get())
            VARIABLE.set(f"source {number}")
            yield number

    async def asynchronous() -> AsyncIterator[int]:
        for number in sync():
            await asyncio.sleep(0)
            yield number

    async def mapper(item: int) -> int:
        seen_by_items.add(VARIABLE.get())
        await asyncio.sleep(0)
        seen_by_items.add(VARIABLE.get())
        return item

    VARIABLE.set("caller")
    await collected(lanes_plan(sync() if kind == "sync" else asynchronous(), mapper))
    assert VARIABLE.get() == "caller"
    assert seen_by_items == {"caller"}
    # A generator sees what it set before, as it would in a plain loop.
    assert seen_by_source == ["caller"] + [f"source {number}" for number in range(29)]


@pytest.mark.parametrize("error", [StopIteration(), SourceFailed(OSError()), OSError()])
async def test_rule_107_a_pump_that_comes_again_after_the_end_does_not_tell_it_again(
    error: Exception,
) -> None:
    class Ending:
        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            raise error

    seen = Seen()
    pump = Pump(Plan(values_of([]), 1).open(), lambda: iter(Ending()), seen)
    pump.pump()
    pump.pump()
    assert len(seen.ends) == 1
