"""batch_in_chunks: lists of results in input order, over inputs that are pulled as needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import chain, count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    NodeError,
    WorkflowContext,
)

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
from ..streams.runs import Inputs, both_kinds, in_virtual_time


def indexes(chunk: list[BatchResult]) -> list[int]:
    return [result.index for result in chunk]


def flat(chunks: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(chunks))


async def all_chunks(processor: BatchProcessor, inputs: Any, chunk_size: int) -> list[list[int]]:
    return [indexes(chunk) async for chunk in processor.batch_in_chunks(inputs, chunk_size)]


class TestTheChunks:
    @pytest.mark.parametrize(
        ("length", "chunk_size", "lengths"),
        [
            (0, 3, []),
            (1, 3, [1]),
            (3, 3, [3]),
            (7, 3, [3, 3, 1]),
            (9, 3, [3, 3, 3]),
            (4, 1, [1, 1, 1, 1]),
            (4, 100, [4]),
        ],
    )
    async def test_are_full_but_for_the_last(
        self, length: int, chunk_size: int, lengths: list[int]
    ) -> None:
        chunks = await all_chunks(BatchProcessor(double), range(length), chunk_size)
        assert [len(chunk) for chunk in chunks] == lengths
        # The indexes count over all of them.
        assert flat(chunks) == list(range(length))

    @settings(deadline=None, max_examples=50)
    @given(
        seconds=st.lists(st.integers(0, 9), max_size=40),
        chunk_size=st.integers(1, 12),
        max_concurrency=st.integers(1, 12),
    )
    def test_hold_the_results_of_a_batch(
        self, seconds: list[int], chunk_size: int, max_concurrency: int
    ) -> None:
        processor = BatchProcessor(slowly, max_concurrency)

        async def main() -> None:
            batch = await processor.batch(seconds)
            chunks = [chunk async for chunk in processor.batch_in_chunks(seconds, chunk_size)]
            assert flat(chunks) == batch
            assert all(len(chunk) == chunk_size for chunk in chunks[:-1])

        in_virtual_time(main)

    async def test_hold_failures_too(self) -> None:
        processor = BatchProcessor(lambda n: 12 // n)
        (first, second) = [chunk async for chunk in processor.batch_in_chunks([3, 0, 4], 2)]
        assert [result.output for result in first + second] == [4, None, 3]
        assert first[1].error == FLOOR_DIVISION

    async def test_come_as_soon_as_all_of_them_is_there(self) -> None:
        processor = BatchProcessor(slowly, 3)
        times = []
        async for chunk in processor.batch_in_chunks([5, 1, 1, 1, 1, 1, 1], 2):
            times.append((indexes(chunk), now()))
        # One slow input holds up the delivery, and not the others.
        assert times == [([0, 1], 5), ([2, 3], 5), ([4, 5], 5), ([6], 5)]

    async def test_let_the_next_ones_start_meanwhile(self) -> None:
        probe = Probe()
        processor = BatchProcessor(probe, 4)
        async for _ in processor.batch_in_chunks([1] * 16, 3):
            assert probe.peak == 4
        # Four lanes, two seconds an item, and never a pause between chunks.
        assert now() == 8

    async def test_share_one_workflow_context(self) -> None:
        listener, given_context = Listener(), WorkflowContext()
        processor = BatchProcessor(listener)
        async for _ in processor.batch_in_chunks(range(5), 2, given_context):
            pass
        assert all(shared is given_context for shared in listener.shared)
        async for _ in processor.batch_in_chunks(range(5), 2):
            pass
        assert len({id(shared) for shared in listener.shared}) == 2


class TestTheInputs:
    @both_kinds
    async def test_are_pulled_as_needed(self, kind: str) -> None:
        inputs = Inputs()
        source = inputs.sync() if kind == "sync" else inputs.asynchronous()
        processor = BatchProcessor(slowly, 2)
        assert inputs.pulled == 0
        async with aclosing(processor.batch_in_chunks(source, 5)) as chunks:
            async for chunk in chunks:
                assert inputs.pulled <= chunk[-1].index + 1 + 4 * 2
                # A consumer that does nothing for a while has nothing pulled.
                pulled = inputs.pulled
                await asyncio.sleep(10)
                assert inputs.pulled <= pulled + 4 * 2
                if chunk[-1].index > 1_000:
                    break
        assert inputs.closed == 1
        assert_only_the_caller_runs()

    async def test_are_not_pulled_without_end_behind_a_slow_one(self) -> None:
        pulled = 0

        def inputs() -> Iterator[float]:
            nonlocal pulled
            for pulled in count(1):
                yield 1_000 if pulled == 1 else 1

        processor = BatchProcessor(slowly, 2)
        async with aclosing(processor.batch_in_chunks(inputs(), 5)) as chunks:
            assert indexes(await anext(chunks)) == [0, 1, 2, 3, 4]
            assert now() == 1_000
            assert pulled <= 5 + 4 * 2

    async def test_are_taken_of_any_kind(self) -> None:
        async def asynchronously() -> AsyncIterator[int]:
            for n in range(5):
                yield n

        processor = BatchProcessor(double)
        expected = [[0, 1], [2, 3], [4]]
        for inputs in (range(5), iter(range(5)), asynchronously()):
            assert await all_chunks(processor, inputs, 2) == expected

    @pytest.mark.parametrize("inputs", [5, "text", {"a": 1}])
    def test_of_a_wrong_kind_are_told_at_the_call(self, inputs: Any) -> None:
        with pytest.raises(TypeError, match="inputs must be an iterable"):
            BatchProcessor(double).batch_in_chunks(inputs, 2)


class TestAnError:
    async def test_of_the_inputs_comes_after_all_results(self) -> None:
        def inputs() -> Iterator[int]:
            yield from range(5)
            raise LookupError("no more")

        seen = []
        with pytest.raises(LookupError, match="no more"):
            async for chunk in BatchProcessor(double).batch_in_chunks(inputs(), 3):
                seen.append(indexes(chunk))
        assert seen == [[0, 1, 2], [3, 4]]
        assert_only_the_caller_runs()

    async def test_of_a_node_ends_it_if_nothing_may_fail(self) -> None:
        async def work(n: int) -> int:
            await asyncio.sleep(n)
            return 12 // (n - 4)

        processor = BatchProcessor(work, 10, continue_on_error=False)
        seen = []
        with pytest.raises(NodeError, match="failed on item 4: ZeroDivisionError"):
            async for chunk in processor.batch_in_chunks(range(10), 3):
                seen.append(indexes(chunk))
        assert seen == [[0, 1, 2], [3]]
        assert now() == 4
        assert_only_the_caller_runs()


class TestLeavingEarly:
    async def test_by_aclose_leaves_no_task(self) -> None:
        probe = Probe()
        chunks = BatchProcessor(probe, 4).batch_in_chunks([1, 1, 1, 1, 9, 9, 9, 9], 2)
        assert indexes(await anext(chunks)) == [0, 1]
        await chunks.aclose()
        assert now() == 3
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    async def test_before_the_first_chunk_starts_nothing(self) -> None:
        inputs = Inputs()
        await BatchProcessor(double).batch_in_chunks(inputs.sync(), 2).aclose()
        assert inputs.pulled == 0
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("turns", range(6))
    @pytest.mark.parametrize("seconds", [0, 1, 4])
    async def test_by_a_cancel_leaves_no_task(self, seconds: float, turns: int) -> None:
        probe = Probe()
        task = asyncio.create_task(all_chunks(BatchProcessor(probe, 2), [2, 2, 3, 3, 5], 2))
        await asyncio.sleep(seconds)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert probe.running == 0
        assert_only_the_caller_runs()


class RateLimitedProcessor(BatchProcessor):
    """The rate-limited processor of the page that the library was asked for."""

    async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
        for i, input_data in enumerate(inputs):
            if i > 0:
                await asyncio.sleep(1)
            yield await self.process_single(input_data, i)


class OutOfOrder(BatchProcessor):
    """Gives some results late, and some not at all."""

    order = (3, 0, 1, 5, 4, 7, 8)

    async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
        values = list(inputs)
        for index in self.order:
            yield await self.process_single(values[index], index)


class TestAnOverriddenBatchAsCompleted:
    async def test_is_where_the_results_come_from(self) -> None:
        times = []
        async for chunk in RateLimitedProcessor(double).batch_in_chunks(range(5), 2):
            times.append(([result.output for result in chunk], now()))
        assert times == [([0, 2], 1), ([4, 6], 3), ([8], 4)]

    async def test_may_leave_results_out(self) -> None:
        chunks = await all_chunks(OutOfOrder(double), range(9), 2)
        assert chunks == [[0, 1], [3], [4, 5], [7], [8]]

    async def test_that_fails_is_told_after_its_results(self) -> None:
        class Failing(OutOfOrder):
            async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
                async for result in super().batch_as_completed(inputs):
                    yield result
                raise LookupError("no more")

        seen = []
        with pytest.raises(LookupError, match="no more"):
            async for chunk in Failing(double).batch_in_chunks(range(9), 2):
                seen.append(indexes(chunk))
        assert seen == [[0, 1], [3], [4, 5], [7], [8]]

    async def test_is_closed_when_the_chunks_are_left(self) -> None:
        closed = []

        class Closing(RateLimitedProcessor):
            async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
                try:
                    async for result in super().batch_as_completed(inputs):
                        yield result
                finally:
                    closed.append(now())

        chunks = Closing(double).batch_in_chunks(count(), 2)
        await anext(chunks)
        await chunks.aclose()
        assert closed == [1]


async def test_gives_what_the_chunked_processing_of_the_page_gives() -> None:
    async def process_large_dataset(
        processor: BatchProcessor, data: list[Any], chunk_size: int
    ) -> list[BatchResult]:
        all_results: list[BatchResult] = []
        for i in range(0, len(data), chunk_size):
            chunk = data[i : i + chunk_size]
            results = await processor.batch(chunk)
            all_results.extend(results)
        return all_results

    processor = BatchProcessor(lambda data: 100 // data["n"], max_concurrency=10)
    data = [{"n": n % 7} for n in range(250)]
    by_hand = await process_large_dataset(processor, data, 100)
    chunks = [chunk async for chunk in processor.batch_in_chunks(data, 100)]
    assert [len(chunk) for chunk in chunks] == [100, 100, 50]

    def told(results: list[BatchResult]) -> list[Any]:
        return [(result.input_data, result.output, result.error) for result in results]

    assert told(flat(chunks)) == told(by_hand)
    # By hand each chunk counts from 0 again.
    assert indexes(flat(chunks)) == list(range(250))
