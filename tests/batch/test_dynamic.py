"""DynamicBatchProcessor: all items, in order, in batches whose size follows the time they take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, BatchResult, DynamicBatchProcessor, WorkflowContext

from ..stand_ins import (
    FLOOR_DIVISION,
    Listener,
    Probe,
    assert_only_the_caller_runs,
    double,
    now,
    raised_by,
    slowly,
)
from ..streams.runs import Inputs, both_kinds


class Batches:
    """A function that takes as long as it is told, and records the sizes of the batches."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.started_at: dict[float, int] = {}
        self._seconds = seconds

    async def __call__(self, item: int) -> int:
        self.started_at[now()] = self.started_at.get(now(), 0) + 1
        await asyncio.sleep(self._seconds(item))
        return item * 10

    @property
    def sizes(self) -> list[int]:
        return list(self.started_at.values())


class TestTheBatchSize:
    @pytest.mark.parametrize(
        ("seconds", "sizes", "final"),
        [
            (1, [10, 20, 40, 80, 100, 100, 50], 100),
            (7.99, [10, 20, 40, 80, 100, 100, 50], 100),
            (8, [10] * 40, 10),
            (10, [10] * 40, 10),
            (12, [10] * 40, 10),
            (12.01, [10, 5, 2] + [1] * 383, 1),
        ],
    )
    async def test_doubles_to_a_hundred_or_halves_to_one(
        self, seconds: float, sizes: list[int], final: int
    ) -> None:
        batches = Batches(lambda _: seconds)
        processor = DynamicBatchProcessor(batches, target_time=10)
        assert processor.batch_size == 10
        results = await processor.process(range(400))
        assert batches.sizes == sizes
        assert processor.batch_size == final
        assert [result.output for result in results] == [n * 10 for n in range(400)]
        assert [result.index for result in results] == list(range(400))
        assert now() == pytest.approx(seconds * len(sizes))

    async def test_aims_at_a_second_by_default(self) -> None:
        batches = Batches(lambda _: 0.75)
        await DynamicBatchProcessor(batches).process(range(70))
        assert batches.sizes == [10, 20, 40]
        batches = Batches(lambda _: 1.25)
        await DynamicBatchProcessor(batches).process(range(18))
        assert batches.sizes == [10, 5, 2, 1]

    async def test_follows_the_slowest_item_of_each_batch(self) -> None:
        # Item 15 is in the second batch, item 40 in the third.
        batches = Batches(lambda item: {15: 3, 40: 1}.get(item, 0.1))
        await DynamicBatchProcessor(batches).process(range(60))
        assert batches.sizes == [10, 20, 10, 20]

    async def test_is_kept_from_one_call_to_the_next(self) -> None:
        batches = Batches(lambda _: 0.1)
        processor = DynamicBatchProcessor(batches)
        await processor.process(range(30))
        assert processor.batch_size == 40
        await processor.process(range(30))
        assert batches.sizes == [10, 20, 30]

    async def test_is_left_alone_where_there_are_no_items(self) -> None:
        processor = DynamicBatchProcessor(double)
        assert await processor.process([]) == []
        assert processor.batch_size == 10

    async def test_counts_the_time_of_one_batch_and_not_of_its_inputs(self) -> None:
        async def items() -> AsyncIterator[int]:
            for n in range(30):
                await asyncio.sleep(5)
                yield n

        batches = Batches(lambda _: 0.1)
        await DynamicBatchProcessor(batches).process(items())
        assert batches.sizes == [10, 20]


class TestTheResults:
    async def test_hold_the_failures(self) -> None:
        results = await DynamicBatchProcessor(lambda n: 12 // n).process([3, 0, 4] * 10)
        assert [result.output for result in results] == [4, None, 3] * 10
        assert {result.error for result in results[1::3]} == {FLOOR_DIVISION}
        assert [result.index for result in results] == list(range(30))

    async def test_are_those_of_a_batch(self) -> None:
        inputs: list[Any] = [{"a": 1}, 2, "three"]
        results = await DynamicBatchProcessor(lambda data: [data]).process(inputs)
        assert results == await BatchProcessor(lambda data: [data]).batch(inputs)

    async def test_come_from_a_run_that_shares_one_workflow_context(self) -> None:
        listener, given = Listener(), WorkflowContext()
        processor = DynamicBatchProcessor(listener)
        await processor.process(range(25), given)
        assert all(shared is given for shared in listener.shared)
        await processor.process(range(45))
        assert len({id(shared) for shared in listener.shared}) == 2


class TestTheItems:
    async def test_may_be_of_any_kind(self) -> None:
        async def asynchronously() -> AsyncIterator[int]:
            for n in range(25):
                await asyncio.sleep(0)
                yield n

        class Own:
            def __aiter__(self) -> AsyncIterator[int]:
                return asynchronously()

        for items in (range(25), iter(range(25)), set(range(25)), asynchronously(), Own()):
            results = await DynamicBatchProcessor(double).process(items)
            assert [result.output for result in results] == [n * 2 for n in range(25)]

    async def test_are_pulled_batch_by_batch(self) -> None:
        inputs = Inputs(100)
        pulled = []

        async def work(_: int) -> None:
            pulled.append(inputs.pulled)
            await asyncio.sleep(1)

        await DynamicBatchProcessor(work).process(inputs.sync())
        assert pulled == [10 * (n // 10 + 1) for n in range(100)]

    @pytest.mark.parametrize("items", [5, "text", {"a": 1}, None])
    async def test_of_a_wrong_kind_are_told(self, items: Any) -> None:
        with pytest.raises(TypeError, match="items must be an iterable or async iterable, got"):
            await DynamicBatchProcessor(double).process(items)

    async def test_that_fail_end_it(self) -> None:
        def items() -> Iterator[int]:
            yield from range(15)
            raise LookupError("no more")

        done: list[int] = []
        with pytest.raises(LookupError, match="no more"):
            await DynamicBatchProcessor(done.append).process(items())
        assert done == list(range(10))
        assert_only_the_caller_runs()

    @both_kinds
    async def test_in_a_generator_are_closed_at_the_end(self, kind: str) -> None:
        inputs = Inputs(25)
        items = inputs.sync() if kind == "sync" else inputs.asynchronous()
        await DynamicBatchProcessor(double).process(items)
        assert (inputs.pulled, inputs.closed) == (25, 1)

    @both_kinds
    async def test_in_a_generator_are_closed_after_a_cancel(self, kind: str) -> None:
        inputs = Inputs()
        items = inputs.sync() if kind == "sync" else inputs.asynchronous()
        processor = DynamicBatchProcessor(lambda _: slowly(1))
        task = asyncio.create_task(processor.process(items))
        await asyncio.sleep(2.5)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert (inputs.pulled, inputs.closed) == (30, 1)
        assert_only_the_caller_runs()


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("seconds", [0, 1, 4])
async def test_a_cancel_leaves_no_task(seconds: float, turns: int) -> None:
    probe = Probe()
    task = asyncio.create_task(DynamicBatchProcessor(probe).process([2] * 50))
    await asyncio.sleep(seconds)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    assert probe.running == 0
    assert_only_the_caller_runs()


class DynamicBatchProcessorOfThePage:
    """The one of the page that the library was asked for, which handles one batch a call."""

    def __init__(self, node: Any, target_time: float = 1.0) -> None:
        self.node = node
        self.target_time = target_time
        self.batch_size = 10

    async def process(self, items: list[Any]) -> list[BatchResult]:
        processor = BatchProcessor(node=self.node, max_concurrency=self.batch_size)
        start_time = now()
        results = await processor.batch(items[: self.batch_size])
        elapsed = now() - start_time
        if elapsed < self.target_time * 0.8:
            self.batch_size = min(self.batch_size * 2, 100)
        elif elapsed > self.target_time * 1.2:
            self.batch_size = max(self.batch_size // 2, 1)
        return results


@pytest.mark.parametrize("seconds", [0.1, 1, 2])
async def test_gives_what_the_dynamic_batching_of_the_page_gives(seconds: float) -> None:
    items = list(range(120))
    by_hand, batches = DynamicBatchProcessorOfThePage(double), []
    by_hand.node = Batches(lambda _: seconds)
    results: list[BatchResult] = []
    while len(results) < len(items):
        batches.append(by_hand.batch_size)
        results += await by_hand.process(items[len(results) :])

    ours = Batches(lambda _: seconds)
    processor = DynamicBatchProcessor(ours)
    processed = await processor.process(items)
    assert [result.output for result in processed] == [result.output for result in results]
    assert ours.sizes == by_hand.node.sizes
    assert processor.batch_size == by_hand.batch_size


def test_its_repr_says_how_large_the_next_batch_is() -> None:
    assert repr(DynamicBatchProcessor(double, 2)) == (
        "DynamicBatchProcessor(FunctionNode('double'), target_time=2, batch_size=10)"
    )
