"""``stream``, ``observe`` and ``as_operator`` of list stages: live, bounded, closeable."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BufferOverflowError,
    FilterNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    OverflowStrategy,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.stages.stage import ListStage

from ..stand_ins import DIVISION, observed


async def slow(value: float) -> float:
    await asyncio.sleep(value)
    return value


def map_filter_map(keep: Callable[[int], bool]) -> ListStage:
    chain = (
        MapNode("a", lambda x: x, "x", "y")
        | FilterNode("filter", keep, "y", "z")
        | MapNode("b", lambda x: x, "z", "w")
    )
    assert isinstance(chain, ListStage)
    return chain


class Counting:
    """An endless async source that knows how often it was pulled and whether it was closed."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed = False

    async def items(self) -> AsyncIterator[int]:
        try:
            while True:
                self.pulled += 1
                yield self.pulled
        finally:
            await asyncio.sleep(0)
            self.closed = True


async def test_outputs_come_as_they_complete() -> None:
    assert [x async for x in MapNode("m", slow).stream([3, 1, 2])] == [1, 2, 3]


async def test_outputs_come_in_order_if_asked() -> None:
    loop, seen = asyncio.get_running_loop(), []
    async for value in MapNode("m", slow).stream([3, 1, 4], ordered=True):
        seen.append((value, loop.time()))
    assert seen == [(3, 3), (1, 3), (4, 4)]


async def test_order_does_not_wait_for_what_a_filter_drops() -> None:
    loop, seen = asyncio.get_running_loop(), []
    chain = MapNode("m", slow, "x", "y") | FilterNode("f", lambda x: x > 1, "y", "z")
    async for value in chain.stream([1, 3, 2], ordered=True):
        seen.append((value, loop.time()))
    assert seen == [(3, 3), (2, 3)]


async def test_an_endless_source_is_pulled_at_most_a_window_ahead() -> None:
    source, taken, dropped = Counting(), 0, 0

    def odd(value: int) -> bool:
        nonlocal dropped
        dropped += value % 2 == 0
        return value % 2 == 1

    async with map_filter_map(odd).stream(source.items(), max_in_flight=20) as outputs:
        async for _ in outputs:
            await asyncio.sleep(0.01)
            taken += 1
            if taken == 500:
                break
    assert source.pulled == 500 + dropped + 20
    assert source.closed
    assert len(asyncio.all_tasks()) == 1


async def test_a_slow_last_stage_stalls_the_source() -> None:
    source = Counting()

    async def never(value: int) -> int:
        await asyncio.sleep(1e9)
        return value

    chain = MapNode("a", abs, "x", "y", 2) | MapNode("b", never, "y", "z", 3)
    async with chain.stream(source.items()) as outputs:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(outputs), 1_000)
    assert source.pulled == 4 * (2 + 3)


async def test_rule_206_a_take_behind_the_operator_stops_the_source_and_the_rest() -> None:
    ended: list[int] = []

    def inputs() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            ended.append(-1)

    async def work(value: int) -> int:
        try:
            await asyncio.sleep(1 if value < 3 else 100)
        finally:
            await asyncio.sleep(0)
            ended.append(value)
        return value

    taken = await MapNode("m", work).observe(inputs()).pipe(ops.take(3), ops.to_list())
    await asyncio.sleep(0.1)
    assert sorted(taken) == [0, 1, 2]
    assert asyncio.get_running_loop().time() == pytest.approx(1.1)
    # Ten at a time: 0 to 9 had started, and two more in the places of 0 and 1.
    assert sorted(ended) == [-1, *range(12)]
    assert len(asyncio.all_tasks()) == 1


async def test_a_reduce_streams_its_one_value() -> None:
    stage = ReduceNode("sum", lambda total, x: total + x, 0)
    assert [x async for x in stage.stream(range(5))] == [10]


async def test_the_workflow_context_is_shared_by_the_run() -> None:
    class Counter(BaseNode):
        async def execute(self, node_context: NodeContext, shared: WorkflowContext) -> NodeResult:
            shared.variables["n"] = shared.variables.get("n", 0) + 1
            return NodeResult(success=True, output=None)

    shared = WorkflowContext()
    async for _ in MapNode("m", Counter()).stream(range(7), workflow_context=shared):
        pass
    assert shared.variables == {"n": 7}


async def test_an_item_that_is_left_out_of_a_stream_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = MapNode("inverse", lambda x: 1 / x, continue_on_error=True)
    with caplog.at_level(logging.WARNING, "nadoo_flow"):
        assert [x async for x in stage.stream([1, 0, 2], ordered=True)] == [1, 0.5]
    assert [record.getMessage() for record in caplog.records] == [
        f"node 'inverse' goes on without item 1: {DIVISION}"
    ]


async def test_a_failing_item_ends_a_stream_after_what_was_finished() -> None:
    seen = []
    with pytest.raises(NodeError, match="node 'inverse' failed on item 2"):
        async for value in MapNode("inverse", lambda x: 1 / x).stream([1, 2, 0]):
            seen.append(value)
    assert seen == [1, 0.5]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"source": 5}, TypeError, "source must be an iterable"),
        ({"source": [], "ordered": 1}, TypeError, "ordered must be True or False, got 1"),
        ({"source": [], "max_in_flight": 0}, ValueError, "max_in_flight must be at least 1"),
        ({"source": [], "buffer": 0}, ValueError, "buffer must be at least 1"),
        ({"source": [], "overflow": "drop"}, TypeError, "overflow must be an OverflowStrategy"),
    ],
)
def test_bad_arguments_are_named_at_the_call(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        MapNode("m", abs).stream(**arguments)


async def test_operators_that_keep_time_do_so_on_the_loop() -> None:
    ticks = rx.interval(1).pipe(ops.take(4))
    doubled = MapNode("double", lambda x: 2 * x).as_operator(ordered=True)
    assert await ticks.pipe(doubled, ops.to_list()) == [0, 2, 4, 6]


async def test_the_error_of_an_observable_comes_after_what_it_had_emitted() -> None:
    source: Subject[float] = Subject()
    seen = []

    async def consume() -> None:
        async for value in MapNode("m", slow).stream(source):
            seen.append(value)

    consumer = asyncio.create_task(consume())
    await asyncio.sleep(1)
    source.on_next(5)
    source.on_next(3)
    source.on_error(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await consumer
    assert seen == [3, 5]


def burst(subject: Subject[int], count: int) -> None:
    for i in range(count):
        subject.on_next(i)
    subject.on_completed()


@pytest.mark.parametrize(
    ("overflow", "expected"),
    [
        (OverflowStrategy.DROP_OLDEST, [97, 98, 99]),
        (OverflowStrategy.DROP_NEWEST, [0, 1, 2]),
        (OverflowStrategy.BUFFER, list(range(100))),
    ],
)
async def test_a_full_buffer_does_as_its_strategy_says(
    overflow: OverflowStrategy, expected: list[int]
) -> None:
    subject: Subject[int] = Subject()
    outputs = MapNode("m", abs).stream(subject, ordered=True, buffer=3, overflow=overflow)
    first = asyncio.ensure_future(anext(outputs))
    await asyncio.sleep(0)
    burst(subject, 100)
    assert [await first, *[value async for value in outputs]] == expected
    assert outputs.dropped == 100 - len(expected)


async def test_an_overflow_is_an_error_by_default_after_all_that_had_arrived() -> None:
    subject: Subject[int] = Subject()
    outputs = BatchProcessor(abs).batch_as_completed(subject, buffer=3)
    first = asyncio.ensure_future(anext(outputs))
    await asyncio.sleep(0)
    burst(subject, 100)
    seen = [(await first).output]
    with pytest.raises(BufferOverflowError, match="3 of its items were still waiting"):
        async for result in outputs:
            seen.append(result.output)
    assert seen == [0, 1, 2]
    assert subject.observers == []


@pytest.mark.asyncio(loop_factories=["real"])
@pytest.mark.parametrize("overflow", list(OverflowStrategy))
async def test_every_item_from_a_thread_is_accounted_for(overflow: OverflowStrategy) -> None:
    subject: Subject[int] = Subject()
    sent = 20_000
    thread = threading.Thread(target=burst, args=(subject, sent))
    outputs = MapNode("m", abs).stream(subject, buffer=500, overflow=overflow)
    first = asyncio.ensure_future(anext(outputs))
    await asyncio.sleep(0)
    thread.start()
    overflowed, seen = False, []
    try:
        seen.append(await first)
        async for value in outputs:
            seen.append(value)
    except BufferOverflowError:
        overflowed = True
    thread.join()
    assert len(set(seen)) == len(seen)
    if overflowed:
        assert overflow is OverflowStrategy.ERROR
        assert sorted(seen) == list(range(len(seen)))
    else:
        assert len(seen) + outputs.dropped == sent


@pytest.mark.slow
async def test_a_cold_observable_of_any_length_goes_through_the_operator() -> None:
    doubled = MapNode("double", lambda x: 2 * x).as_operator()
    total = await rx.from_iterable(range(70_000)).pipe(doubled, ops.sum())
    assert total == 69_999 * 70_000


async def test_rule_110_each_subscription_has_a_fresh_workflow_context() -> None:
    class Counter(BaseNode):
        async def execute(
            self, node_context: NodeContext, workflow_context: WorkflowContext
        ) -> NodeResult:
            seen = workflow_context.variables
            seen["items"] = seen.get("items", 0) + 1
            return NodeResult(True, seen["items"])

    counted = MapNode("m", Counter(), max_concurrency=1).observe([0, 0])
    assert await counted.pipe(ops.repeat(2), ops.to_list()) == [1, 2, 1, 2]
    values: list[Any] = []
    operated = rx.of(0, 0).pipe(MapNode("m", Counter()).as_operator(), ops.repeat(2))
    assert await observed(operated, values) is None
    assert values == [1, 2, 1, 2]


async def test_rule_110_an_iterator_cannot_be_run_by_two_subscriptions() -> None:
    numbers = MapNode("m", abs).observe(iter([-1, -2]))
    values: list[Any] = []
    error = await observed(numbers.pipe(ops.repeat(2)), values)
    assert isinstance(error, RuntimeError)
    assert "can be run only once" in str(error)
    assert values == [1, 2]
