"""The cancellation table: however a run is left, no task is left, and every ``finally`` has run.

The ``finally`` block of a Probe awaits for a second, so a run that only asks its nodes to end,
without waiting for them, fails here.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeError,
    OperatorNode,
    ParallelNode,
    ParallelStrategy,
    Pipeline,
    ReduceNode,
)
from nadoo_flow._support.tasks import FatalError, start_owned
from nadoo_flow.operators import flat_map
from nadoo_flow.streams import CloseableAsyncIterator
from nadoo_flow.testing import VirtualTimeLoop

from ..interrupts import interruptible
from ..stand_ins import (
    CLEAN_UP,
    Probe,
    assert_only_the_caller_runs,
    log_of_the_loop,
    now,
    observed,
    raised_by,
)

Run = Callable[[Any], Coroutine[Any, Any, Any]]
Iterate = Callable[[Any], CloseableAsyncIterator[Any]]

INPUTS = [10, 20, 30, 40]
STUBBORN = 3.0
"""Seconds that a node goes on after it was cancelled, if it swallows that."""


class Stubborn(Probe):
    """A probe that swallows its cancel and goes on for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.outlived: list[float] = []

    async def __call__(self, seconds: float) -> float:
        try:
            return await super().__call__(seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(STUBBORN)
            self.outlived.append(seconds)
            return seconds


class _OneByOne(BatchProcessor):
    async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
        for index, value in enumerate(inputs):
            yield await self.process_single(value, index)


async def _asynchronously(items: list[float]) -> AsyncIterator[float]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def _in_tasks(work: Any) -> FunctionNode:
    node = FunctionNode(work, "isolated")
    node.isolate = "task"
    return node


def _map(work: Any) -> MapNode:
    return MapNode("map", work, "items", "items", max_concurrency=2)


def _twins(work: Any, strategy: ParallelStrategy = ParallelStrategy.ALL) -> ParallelNode:
    return ParallelNode([FunctionNode(work, "a"), FunctionNode(work, "b")], strategy)


# Runs that have tasks of their own, which outlive the caller if nobody waits for them.
WITH_TASKS: dict[str, Run] = {
    "batch": lambda work: BatchProcessor(work, 2).batch(INPUTS),
    "batch that stops at errors": lambda work: BatchProcessor(work, 2, False).batch(INPUTS),
    "batch with a task an item": lambda work: BatchProcessor(_in_tasks(work), 2).batch(INPUTS),
    "batch of async inputs": lambda work: BatchProcessor(work, 2).batch(_asynchronously(INPUTS)),
    "batch of maps": lambda work: BatchProcessor(_map(work), 2).batch([{"items": INPUTS}] * 3),
    "batch of parallels": lambda work: BatchProcessor(_twins(work), 2).batch(INPUTS),
    "map": lambda work: _map(work).run({"items": INPUTS}),
    "map with a task an item": lambda work: _map(_in_tasks(work)).run({"items": INPUTS}),
    "filter": lambda work: FilterNode("filter", work, max_concurrency=2).run({"items": INPUTS}),
    "reduce": lambda work: ReduceNode("reduce", lambda _, item: work(item)).run({"items": INPUTS}),
    "chain": lambda work: (_map(work) | _map(repr) | FilterNode("f", len)).run({"items": INPUTS}),
    "pipeline of stages": lambda work: Pipeline(_map(work), len).run({"items": INPUTS}),
    "parallel": lambda work: _twins(work).run(10),
    "parallel settling": lambda work: _twins(work, ParallelStrategy.ALL_SETTLED).run(10),
    "parallel racing": lambda work: _twins(work, ParallelStrategy.RACE).run(10),
    "parallel in parallel": lambda work: _twins(lambda item: _twins(work).run(item)).run(10),
    "map of parallels": lambda work: _map(_twins(work)).run({"items": INPUTS}),
    "parallel of maps": lambda work: _twins(lambda _: _map(work).run({"items": INPUTS})).run(10),
}

# Runs in which the caller's own task drives the node.
IN_THE_CALLERS_TASK: dict[str, Run] = {
    "run": lambda work: FunctionNode(work).run(10),
    "process_single": lambda work: BatchProcessor(work).process_single(10, 0),
    "pipeline of functions": lambda work: Pipeline(work, work).run(10),
    "batch that collects from an override": lambda work: _OneByOne(work).batch(INPUTS),
}

# Runs that yield, left while the first of their inputs is done and others are in work.
YIELDED = [1, 10, 20, 30]
ITERATORS: dict[str, Iterate] = {
    "batch": lambda work: BatchProcessor(work, 2).batch_as_completed(YIELDED),
    "batch with a task an item": lambda work: BatchProcessor(_in_tasks(work), 2).batch_as_completed(
        YIELDED
    ),
    "batch of async inputs": lambda work: BatchProcessor(work, 2).batch_as_completed(
        _asynchronously(YIELDED)
    ),
    "batch of parallels": lambda work: BatchProcessor(_twins(work), 2).batch_as_completed(YIELDED),
    "map": lambda work: _map(work).stream(YIELDED),
    "map in order": lambda work: _map(work).stream(YIELDED, ordered=True),
    "filter": lambda work: FilterNode("filter", work, max_concurrency=2).stream(YIELDED),
    "chain": lambda work: (_map(work) | _map(repr)).stream(YIELDED),
}

with_tasks = pytest.mark.parametrize("run", WITH_TASKS.values(), ids=WITH_TASKS)
every_run = pytest.mark.parametrize(
    "run",
    [*WITH_TASKS.values(), *IN_THE_CALLERS_TASK.values()],
    ids=[*WITH_TASKS, *IN_THE_CALLERS_TASK],
)
every_iterator = pytest.mark.parametrize("iterate", ITERATORS.values(), ids=ITERATORS)


def _assert_clean(probe: Probe, at: float) -> None:
    assert now() == at
    probe.assert_cleaned()
    assert probe.running == 0
    assert_only_the_caller_runs()


class TestAnAwaitedRun:
    @every_run
    async def test_is_left_by_an_outer_cancel(self, run: Run) -> None:
        probe = Probe()
        task = asyncio.create_task(run(probe))
        await asyncio.sleep(2)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert task.cancelled()
        _assert_clean(probe, at=2 + CLEAN_UP)

    @every_run
    async def test_is_left_by_a_timeout(self, run: Run) -> None:
        probe = Probe()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await run(probe)
        _assert_clean(probe, at=2 + CLEAN_UP)

    @every_run
    async def test_is_left_by_wait_for(self, run: Run) -> None:
        probe = Probe()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run(probe), 2)
        _assert_clean(probe, at=2 + CLEAN_UP)

    @every_run
    async def test_is_left_by_a_failing_task_group(self, run: Run) -> None:
        probe = Probe()

        async def fail() -> None:
            await asyncio.sleep(2)
            raise LookupError("elsewhere")

        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(run(probe))
                group.create_task(fail())
        _assert_clean(probe, at=2 + CLEAN_UP)

    @with_tasks
    async def test_is_left_once_only_by_a_second_cancel_during_clean_up(self, run: Run) -> None:
        probe = Probe()
        task = asyncio.create_task(run(probe))
        await asyncio.sleep(2)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(CLEAN_UP / 4)
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        _assert_clean(probe, at=2 + CLEAN_UP)

    @with_tasks
    async def test_waits_for_a_node_that_swallows_its_cancel(self, run: Run) -> None:
        stubborn = Stubborn()
        task = asyncio.create_task(run(stubborn))
        await asyncio.sleep(2)
        task.cancel()
        started = len(stubborn.started)
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        _assert_clean(stubborn, at=2 + CLEAN_UP + STUBBORN)
        assert len(stubborn.outlived) == started
        assert len(stubborn.started) == started

    @every_run
    @pytest.mark.parametrize("turns", range(8))
    async def test_is_left_in_any_of_its_first_turns(self, run: Run, turns: int) -> None:
        probe = Probe()
        task = asyncio.create_task(run(probe))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert sorted(probe.cleaned) == sorted(probe.started)
        assert_only_the_caller_runs()


class TestTheEndOfTheEventLoop:
    """``asyncio.run`` cancels every task that is left: the caller's and the run's own."""

    @every_run
    def test_lets_a_forgotten_run_clean_up(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        probe = Probe()
        forgotten: list[asyncio.Task[Any]] = []

        async def main() -> None:
            forgotten.append(asyncio.create_task(run(probe)))
            await asyncio.sleep(2)

        _run_to_the_end(main())
        assert forgotten[0].cancelled()
        probe.assert_cleaned()
        assert caplog.messages == []

    @every_iterator
    def test_lets_a_forgotten_iterator_clean_up(
        self, iterate: Iterate, caplog: pytest.LogCaptureFixture
    ) -> None:
        probe = Probe()
        forgotten: list[Any] = []

        async def main() -> None:
            forgotten.append(iterate(probe))
            await anext(forgotten[0])

        _run_to_the_end(main())
        probe.assert_cleaned()
        assert caplog.messages == []

    def test_closes_the_sources_of_a_forgotten_run(self) -> None:
        closed: list[str] = []
        probe = Probe()

        async def endless() -> AsyncIterator[float]:
            try:
                while True:
                    yield 10
            finally:
                await asyncio.sleep(CLEAN_UP)
                closed.append("closed")

        async def main() -> None:
            forgotten.append(asyncio.create_task(BatchProcessor(probe, 2).batch(endless())))
            await asyncio.sleep(2)

        forgotten: list[asyncio.Task[Any]] = []
        _run_to_the_end(main())
        probe.assert_cleaned()
        assert closed == ["closed"]

    @every_run
    def test_by_an_interrupt_lets_the_run_clean_up(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        probe = Probe()

        async def main() -> None:
            asyncio.get_running_loop().call_later(2, signal.raise_signal, signal.SIGINT)
            await run(probe)

        with interruptible(), pytest.raises(KeyboardInterrupt):
            _run_to_the_end(main())
        probe.assert_cleaned()
        assert caplog.messages == []


def _run_to_the_end(main: Coroutine[Any, Any, None]) -> None:
    """Do what ``asyncio.run`` does, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


# Ways to leave an iterator early. The first result comes after two seconds, and each leaves it
# half a second later, when the others are in the middle of their work.
LEFT_AT = 2.5


async def _first(results: CloseableAsyncIterator[Any]) -> Any:
    result = await anext(results)
    await asyncio.sleep(LEFT_AT - now())
    return result


async def _by_aclose(results: CloseableAsyncIterator[Any]) -> None:
    await _first(results)
    await results.aclose()


async def _by_aclose_twice(results: CloseableAsyncIterator[Any]) -> None:
    await _first(results)
    await asyncio.gather(results.aclose(), results.aclose())
    await results.aclose()


async def _by_the_exit_of_async_with(results: CloseableAsyncIterator[Any]) -> None:
    async with results:
        await _first(results)


async def _by_break(results: CloseableAsyncIterator[Any]) -> None:
    async with results:
        async for _ in results:
            await asyncio.sleep(LEFT_AT - now())
            break


async def _by_return(results: CloseableAsyncIterator[Any]) -> None:
    async def first() -> Any:
        async with results:
            async for result in results:
                await asyncio.sleep(LEFT_AT - now())
                return result
        return None

    assert await first() is not None


async def _by_an_exception_in_the_loop_body(results: CloseableAsyncIterator[Any]) -> None:
    with pytest.raises(LookupError):
        async with results:
            async for _ in results:
                await asyncio.sleep(LEFT_AT - now())
                raise LookupError


async def _by_a_timeout(results: CloseableAsyncIterator[Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(LEFT_AT):
            await _consume(results)


async def _by_an_outer_cancel(results: CloseableAsyncIterator[Any]) -> None:
    task = asyncio.create_task(_consume(results))
    await asyncio.sleep(LEFT_AT)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)


async def _by_cancels_during_clean_up(results: CloseableAsyncIterator[Any]) -> None:
    task = asyncio.create_task(_consume(results))
    await asyncio.sleep(LEFT_AT)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(CLEAN_UP / 4)
    assert isinstance(await raised_by(task), asyncio.CancelledError)


async def _consume(results: CloseableAsyncIterator[Any]) -> None:
    async with results:
        async for _ in results:
            pass


WAYS_OUT = [
    _by_aclose,
    _by_aclose_twice,
    _by_the_exit_of_async_with,
    _by_break,
    _by_return,
    _by_an_exception_in_the_loop_body,
    _by_a_timeout,
    _by_an_outer_cancel,
    _by_cancels_during_clean_up,
]


class TestAnIterator:
    @pytest.mark.parametrize("leave", WAYS_OUT)
    @every_iterator
    async def test_is_left(self, iterate: Iterate, leave: Callable[[Any], Awaitable[None]]) -> None:
        probe = Probe()
        await leave(iterate(probe))
        _assert_clean(probe, at=LEFT_AT + CLEAN_UP)

    @every_iterator
    async def test_that_was_never_asked_for_a_result_leaves_nothing(self, iterate: Iterate) -> None:
        probe = Probe()
        await iterate(probe).aclose()
        async with iterate(probe):
            pass
        assert probe.started == []
        assert_only_the_caller_runs()

    @every_iterator
    async def test_waits_for_a_node_that_swallows_its_cancel(self, iterate: Iterate) -> None:
        stubborn = Stubborn()
        async with iterate(stubborn) as results:
            await anext(results)
        _assert_clean(stubborn, at=2 + CLEAN_UP + STUBBORN)

    async def test_closes_its_source_when_it_is_left(self) -> None:
        closed: list[float] = []

        def endless() -> Iterator[float]:
            try:
                while True:
                    yield 1
            finally:
                closed.append(now())

        async with BatchProcessor(Probe(), 2).batch_as_completed(endless()) as results:
            await anext(results)
        assert closed == [2 + CLEAN_UP]

    async def test_closes_an_async_source_when_it_is_left(self) -> None:
        closed: list[float] = []

        async def endless() -> AsyncIterator[float]:
            try:
                while True:
                    yield 1
            finally:
                await asyncio.sleep(CLEAN_UP)
                closed.append(now())

        async with BatchProcessor(Probe(), 2).batch_as_completed(endless()) as results:
            await anext(results)
        assert closed == [2 + 2 * CLEAN_UP]
        assert_only_the_caller_runs()

    @every_iterator
    async def test_loses_nothing_by_a_timeout_around_one_step(self, iterate: Iterate) -> None:
        probe = Probe()
        async with iterate(probe) as results:
            timeouts = 0
            taken = []
            while len(taken) < 4:
                try:
                    async with asyncio.timeout(0.7):
                        taken.append(await anext(results))
                except TimeoutError:
                    timeouts += 1
            assert isinstance(await raised_by(anext(results)), StopAsyncIteration)
        assert timeouts > 40
        assert sorted(probe.finished) == sorted(probe.cleaned) == sorted(probe.started)
        assert_only_the_caller_runs()


DROPPED = "an async iterator was dropped before its end"


async def _in_a_cycle(results: Any) -> None:
    await anext(results)
    results.myself = results


async def _timed_out_and_forgotten(work: Coroutine[Any, Any, None]) -> None:
    assert isinstance(await raised_by(asyncio.wait_for(work, 2)), TimeoutError)
    # asyncio itself holds the exception, and so its frames, until its next turn.
    await asyncio.sleep(0)
    gc.collect()


class TestADroppedIterator:
    """A ``for`` loop that is left without ``async with``: told by a warning, cancelled later."""

    @every_iterator
    async def test_after_a_break(self, iterate: Iterate) -> None:
        probe = Probe()

        async def consume() -> None:
            async for _ in iterate(probe):
                break

        with pytest.warns(ResourceWarning, match=DROPPED):
            await consume()
        await asyncio.sleep(2 * CLEAN_UP)
        _assert_clean(probe, at=2 + 2 * CLEAN_UP)

    @every_iterator
    async def test_after_an_exception_in_the_loop_body(self, iterate: Iterate) -> None:
        probe = Probe()

        async def consume() -> None:
            async for _ in iterate(probe):
                raise LookupError

        with pytest.warns(ResourceWarning, match=DROPPED):
            assert isinstance(await raised_by(consume()), LookupError)
        await asyncio.sleep(2 * CLEAN_UP)
        _assert_clean(probe, at=2 + 2 * CLEAN_UP)

    @every_iterator
    async def test_after_an_outer_cancel(self, iterate: Iterate) -> None:
        probe = Probe()

        async def consume() -> None:
            async for _ in iterate(probe):
                pass

        with pytest.warns(ResourceWarning, match=DROPPED):
            await _timed_out_and_forgotten(consume())
        await asyncio.sleep(2 * CLEAN_UP)
        _assert_clean(probe, at=2 + 2 * CLEAN_UP)

    @every_iterator
    async def test_by_the_garbage_collector(self, iterate: Iterate) -> None:
        probe = Probe()
        await _in_a_cycle(iterate(probe))
        with pytest.warns(ResourceWarning, match=DROPPED):
            gc.collect()
        await asyncio.sleep(2 * CLEAN_UP)
        _assert_clean(probe, at=2 + 2 * CLEAN_UP)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    async def test_is_cancelled_also_where_warnings_are_errors(self) -> None:
        probe = Probe()
        results = BatchProcessor(probe, 2).batch_as_completed(YIELDED)
        await anext(results)
        del results
        await asyncio.sleep(2 * CLEAN_UP)
        _assert_clean(probe, at=2 + 2 * CLEAN_UP)

    @every_iterator
    async def test_is_no_matter_before_its_start_after_its_end_and_after_its_close(
        self, iterate: Iterate
    ) -> None:
        probe = Probe()
        iterate(probe)
        closed = iterate(probe)
        await anext(closed)
        await closed.aclose()
        del closed
        ended = iterate(probe)
        assert len([result async for result in ended]) == len(YIELDED)
        del ended
        gc.collect()
        probe.assert_cleaned()
        assert_only_the_caller_runs()


OBSERVABLES: dict[str, Callable[[Any], Observable[Any]]] = {
    "batch": lambda work: BatchProcessor(work, 2).observe(YIELDED),
    "batch with a task an item": lambda work: BatchProcessor(_in_tasks(work), 2).observe(YIELDED),
    "batch of async inputs": lambda work: BatchProcessor(work, 2).observe(_asynchronously(YIELDED)),
    "map": lambda work: _map(work).observe(YIELDED),
    "chain": lambda work: (_map(work) | _map(repr)).observe(YIELDED),
    "flat_map": lambda work: (
        BatchProcessor(repr)
        .observe(YIELDED)
        .pipe(ops.map(lambda result: result.input_data), flat_map(work, 2))
    ),
}
every_observable = pytest.mark.parametrize("observe", OBSERVABLES.values(), ids=OBSERVABLES)


class TestAnObservable:
    @every_observable
    async def test_is_left_by_dispose_and_silent_from_then_on(
        self, observe: Callable[[Any], Observable[Any]]
    ) -> None:
        probe, signals = Probe(), list[Any]()
        subscription = observe(probe).subscribe(signals.append, signals.append, signals.clear)
        await asyncio.sleep(2.5)
        assert len(signals) == 1
        subscription.dispose()
        subscription.dispose()
        await asyncio.sleep(2 * CLEAN_UP)
        assert len(signals) == 1
        _assert_clean(probe, at=2.5 + 2 * CLEAN_UP)

    @every_observable
    async def test_is_left_by_take(self, observe: Callable[[Any], Observable[Any]]) -> None:
        probe, values = Probe(), list[Any]()
        assert await observed(observe(probe).pipe(ops.take(1)), values) is None
        assert len(values) == 1
        await asyncio.sleep(2 * CLEAN_UP)
        _assert_clean(probe, at=2 + 2 * CLEAN_UP)

    @every_observable
    async def test_is_left_before_its_first_turn(
        self, observe: Callable[[Any], Observable[Any]]
    ) -> None:
        probe = Probe()
        observe(probe).subscribe(print).dispose()
        await asyncio.sleep(1)
        assert probe.started == []
        assert_only_the_caller_runs()


# Runs whose item 0 fails after two seconds, while other items are in work.
FAILING = [10, 0, 20, 30]


async def _observe(observable: Observable[Any]) -> None:
    error = await observed(observable, [])
    if error is not None:
        raise error


FIRST_ERRORS: dict[str, Run] = {
    "batch": lambda work: BatchProcessor(work, 3, False).batch(FAILING),
    "batch with a task an item": lambda work: BatchProcessor(_in_tasks(work), 3, False).batch(
        FAILING
    ),
    "batch_as_completed": lambda work: _drain(
        BatchProcessor(work, 3, False).batch_as_completed(FAILING)
    ),
    "observe": lambda work: _observe(BatchProcessor(work, 3, False).observe(FAILING)),
    "map": lambda work: MapNode("map", work).run({"items": FAILING}),
    "map with a task an item": lambda work: MapNode("map", _in_tasks(work)).run({"items": FAILING}),
    "stream": lambda work: _drain(MapNode("map", work).stream(FAILING)),
    "filter": lambda work: FilterNode("filter", work).run({"items": FAILING}),
    "chain": lambda work: (MapNode("first", work, "items", "items") | MapNode("second", repr)).run(
        {"items": FAILING}
    ),
    "batch of maps": lambda work: BatchProcessor(MapNode("map", work), 2, False).batch(
        [{"items": FAILING}] * 2
    ),
    "pipeline": lambda work: Pipeline(MapNode("map", work), repr).run({"items": FAILING}),
    "parallel": lambda work: ParallelNode(
        [FunctionNode(lambda _, item=item: work(item), str(item)) for item in FAILING]
    ).run(None),
    "operator": lambda work: _observe(
        BatchProcessor(repr)
        .observe(FAILING)
        .pipe(ops.map(lambda result: result.input_data), flat_map(work, 3))
    ),
}


async def _drain(results: CloseableAsyncIterator[Any]) -> None:
    async for _ in results:
        pass


@pytest.mark.parametrize("run", FIRST_ERRORS.values(), ids=FIRST_ERRORS)
async def test_the_first_error_leaves_the_rest_cleaned_up_before_it_arrives(run: Run) -> None:
    probe = Probe()

    async def work(item: float) -> float:
        if item == 0:
            await asyncio.sleep(2)
            raise ValueError("bad")
        return await probe(item)

    error = await raised_by(run(work))
    assert isinstance(error, NodeError)
    assert isinstance(error.__cause__, ValueError)
    assert probe.finished == []
    _assert_clean(probe, at=2 + CLEAN_UP)


async def test_a_chain_that_fails_late_cleans_up_its_early_stages() -> None:
    probe = Probe()
    chain = _map(probe) | ReduceNode("reduce", lambda _, item: 1 // (item - 1), None, "items")
    with pytest.raises(NodeError, match="stage 'reduce': item 0: ZeroDivisionError"):
        await chain.run({"items": YIELDED})
    assert probe.finished == [1]
    _assert_clean(probe, at=2 + CLEAN_UP)


@pytest.mark.parametrize(
    "make", [_map, lambda work: FilterNode("filter", work, output_key="items", max_concurrency=2)]
)
async def test_a_chain_that_has_enough_withdraws_its_early_stages_and_goes_on(
    make: Callable[[Any], MapNode | FilterNode],
) -> None:
    probe = Probe()
    take = OperatorNode(ops.take(1), input_key="items", output_key="first")
    last = MapNode("last", lambda item: asyncio.sleep(5, item), "first", "last")
    chain = make(probe) | take | last
    assert await chain.run({"items": YIELDED}) == {"last": [1]}
    assert probe.finished == [1]
    _assert_clean(probe, at=2 + 5)


@with_tasks
async def test_an_error_during_clean_up_neither_hides_the_cancel_nor_is_logged(run: Run) -> None:
    logged = log_of_the_loop()

    async def work(_: float) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            raise ValueError("in clean-up")

    task = asyncio.create_task(run(work))
    await asyncio.sleep(1)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    del task
    assert logged() == []
    assert_only_the_caller_runs()


@pytest.mark.parametrize("fatal", [KeyboardInterrupt("again"), SystemExit(3)], ids=repr)
@with_tasks
async def test_what_is_fatal_in_a_clean_up_propagates(run: Run, fatal: BaseException) -> None:
    logged = log_of_the_loop()
    task = start_owned(lambda: run(_dying_in_clean_up(fatal)))
    await asyncio.sleep(1)
    task.cancel()
    error = await raised_by(task)
    assert isinstance(error, FatalError)
    assert error.error is fatal
    del task, error
    assert logged() == []
    assert_only_the_caller_runs()


@pytest.mark.parametrize("leave", [_by_aclose, _by_the_exit_of_async_with])
@every_iterator
async def test_what_is_fatal_in_a_clean_up_propagates_out_of_an_iterator(
    iterate: Iterate, leave: Callable[[Any], Awaitable[None]]
) -> None:
    fatal = KeyboardInterrupt("again")
    work = _dying_in_clean_up(fatal)

    async def second(seconds: float) -> float:
        await asyncio.sleep(1)
        return await work(seconds)

    assert await raised_by(leave(iterate(second))) is fatal
    assert_only_the_caller_runs()


@pytest.mark.parametrize("run", FIRST_ERRORS.values(), ids=FIRST_ERRORS)
async def test_what_is_fatal_in_a_clean_up_wins_over_the_first_error(run: Run) -> None:
    fatal = KeyboardInterrupt("again")
    dying = _dying_in_clean_up(fatal)

    async def work(item: float) -> float:
        if item == 0:
            await asyncio.sleep(2)
            raise ValueError("bad")
        return await dying(item)

    assert await raised_by(run(work)) is fatal
    assert_only_the_caller_runs()


@pytest.mark.parametrize("run", FIRST_ERRORS.values(), ids=FIRST_ERRORS)
async def test_what_is_fatal_at_the_time_of_the_first_error_wins_over_it(run: Run) -> None:
    loop, fatal = asyncio.get_running_loop(), KeyboardInterrupt("again")
    bad, worse = loop.create_future(), loop.create_future()
    loop.call_at(2, bad.set_exception, ValueError("bad"))
    loop.call_at(2, worse.set_exception, fatal)

    async def work(item: float) -> float:
        return await (bad if item == 0 else worse)  # type: ignore[no-any-return]

    assert await raised_by(run(work)) is fatal
    assert_only_the_caller_runs()


@every_observable
async def test_what_is_fatal_in_a_clean_up_is_told_to_the_loop_where_nobody_waits(
    observe: Callable[[Any], Observable[Any]],
) -> None:
    fatal, logged = KeyboardInterrupt("again"), log_of_the_loop()
    subscription = observe(_dying_in_clean_up(fatal)).subscribe(print)
    await asyncio.sleep(0.5)
    subscription.dispose()
    await asyncio.sleep(1)
    (told,) = logged()
    assert told["exception"] is fatal
    assert_only_the_caller_runs()


def _dying_in_clean_up(fatal: BaseException) -> Callable[[float], Awaitable[float]]:
    """Make a function that raises something fatal when it is cancelled, as a second Ctrl-C does."""

    async def work(seconds: float) -> float:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            raise fatal from None
        return seconds

    return work


async def test_closing_from_inside_a_node_of_the_run_is_an_error_and_no_deadlock() -> None:
    async def close(_: Any) -> None:
        await results.aclose()

    results = BatchProcessor(close).batch_as_completed([1])
    error = await raised_by(anext(results))
    assert isinstance(error, RuntimeError)
    await results.aclose()
    assert_only_the_caller_runs()


def test_the_library_logs_nothing_of_its_own_on_a_cancel(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        for run in WITH_TASKS.values():
            await raised_by(asyncio.wait_for(run(Probe()), 2))

    with caplog.at_level(logging.DEBUG, logger="nadoo_flow"):
        _run_to_the_end(main())
    assert [record for record in caplog.records if record.name.startswith("nadoo_flow")] == []
