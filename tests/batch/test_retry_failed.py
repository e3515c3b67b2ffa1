"""retry_failed: only what failed is processed again, and its result takes its own place."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import tenacity
from hypothesis import given, settings
from hypothesis import strategies as st

from nadoo_flow import BatchProcessor, BatchResult, NodeError, WorkflowContext

from ..stand_ins import Listener, Probe, assert_only_the_caller_runs, double, now, raised_by
from ..streams.runs import in_virtual_time


class Flaky:
    """Fails for each item as often as it says; records when the items were tried."""

    def __init__(self) -> None:
        self.tries: Counter[int] = Counter()
        self.times: list[float] = []

    async def __call__(self, item: dict[str, int]) -> int:
        n = item["n"]
        self.times.append(now())
        self.tries[n] += 1
        await asyncio.sleep(1)
        if self.tries[n] <= item["failures"]:
            raise ConnectionError(f"{n} failed, try {self.tries[n]}")
        return n * 10


def items(*failures: int) -> list[dict[str, int]]:
    return [{"n": n, "failures": count} for n, count in enumerate(failures)]


class TestTheResults:
    async def test_are_all_at_their_own_indexes(self) -> None:
        processor = BatchProcessor(Flaky())
        inputs = items(0, 2, 0, 1, 99)
        results = await processor.retry_failed(await processor.batch(inputs), 3, wait=1)
        assert [result.index for result in results] == [0, 1, 2, 3, 4]
        assert [result.input_data for result in results] == inputs
        assert [result.output for result in results] == [0, 10, 20, 30, None]
        assert results[4].error == "ConnectionError: 4 failed, try 4"

    async def test_that_succeeded_are_kept_as_they_are(self) -> None:
        processor = BatchProcessor(Flaky())
        before = await processor.batch(items(0, 1, 0))
        after = await processor.retry_failed(before, wait=0)
        assert after[0] is before[0]
        assert after[2] is before[2]
        # The list that was given is not changed, nor what is in it.
        assert [result.success for result in before] == [True, False, True]
        assert before[1].error == "ConnectionError: 1 failed, try 1"

    async def test_are_in_order_whatever_the_order_of_what_is_given(self) -> None:
        processor = BatchProcessor(Flaky())
        before = await processor.batch(items(1, 0, 1, 0, 1))
        random.Random(1).shuffle(before)
        after = await processor.retry_failed(iter(before), wait=0)
        assert [(result.index, result.output) for result in after] == [
            (n, n * 10) for n in range(5)
        ]

    async def test_may_be_some_of_a_batch_only(self) -> None:
        processor = BatchProcessor(Flaky())
        failed = [
            result for result in await processor.batch(items(0, 0, 1, 0, 1)) if not result.success
        ]
        after = await processor.retry_failed(failed, wait=0)
        assert [(result.index, result.output) for result in after] == [(2, 20), (4, 40)]

    async def test_that_share_an_index_are_all_kept(self) -> None:
        # Processing in chunks by hand makes such lists: each chunk counts from 0.
        processor = BatchProcessor(Flaky())
        inputs = items(0, 1, 1, 0)
        before = await processor.batch(inputs[:2]) + await processor.batch(inputs[2:])
        after = await processor.retry_failed(before, wait=0)
        assert [(result.index, result.output) for result in after] == [
            (0, 0),
            (0, 20),
            (1, 10),
            (1, 30),
        ]

    async def test_of_nothing_are_nothing(self) -> None:
        assert await BatchProcessor(double).retry_failed([]) == []
        assert now() == 0

    @settings(deadline=None, max_examples=50)
    @given(
        failures=st.lists(st.integers(0, 4), max_size=40),
        attempts=st.integers(1, 4),
        max_concurrency=st.integers(1, 10),
    )
    def test_belong_to_their_own_inputs(
        self, failures: list[int], attempts: int, max_concurrency: int
    ) -> None:
        flaky = Flaky()
        processor = BatchProcessor(flaky, max_concurrency)
        inputs = items(*failures)

        async def main() -> list[BatchResult]:
            return await processor.retry_failed(await processor.batch(inputs), attempts, wait=0)

        results = in_virtual_time(main)
        for n, (count, result) in enumerate(zip(failures, results, strict=True)):
            assert (result.index, result.input_data) == (n, inputs[n])
            assert flaky.tries[n] == min(count, attempts) + 1
            assert result.success == (count <= attempts)
            assert result.output == (n * 10 if count <= attempts else None)


class TestTheTries:
    @pytest.mark.parametrize(
        ("wait", "times"),
        [
            (0, [0, 1, 2, 3]),
            (10, [0, 11, 22, 33]),
            (tenacity.wait_exponential(multiplier=2), [0, 3, 8, 17]),
            (tenacity.wait_incrementing(1, 1), [0, 2, 5, 9]),
        ],
    )
    async def test_wait_before_each(self, wait: Any, times: list[float]) -> None:
        flaky = Flaky()
        processor = BatchProcessor(flaky)
        await processor.retry_failed(await processor.batch(items(9)), attempts=3, wait=wait)
        assert flaky.times == times
        # There is no wait behind the last one.
        assert now() == times[-1] + 1

    async def test_wait_with_jitter_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(random, "uniform", lambda low, high: high)
        flaky = Flaky()
        processor = BatchProcessor(flaky)
        await processor.retry_failed(await processor.batch(items(9)))
        assert flaky.times == [0, 1 + 2, 1 + 2 + 1 + 3, 1 + 2 + 1 + 3 + 1 + 5]

    async def test_end_when_nothing_is_left_to_try(self) -> None:
        flaky = Flaky()
        processor = BatchProcessor(flaky)
        await processor.retry_failed(await processor.batch(items(0, 1, 2)), attempts=9, wait=10)
        assert flaky.tries == {0: 1, 1: 2, 2: 3}
        assert now() == 1 + 11 + 11

    async def test_do_not_begin_where_all_is_well(self) -> None:
        processor = BatchProcessor(Flaky())
        results = await processor.batch(items(0, 0))
        assert await processor.retry_failed(results, wait=100) == results
        assert now() == 1

    async def test_run_as_a_batch_does(self) -> None:
        probe = Probe()
        processor = BatchProcessor(probe, 3)
        failed = [BatchResult(n, 1, False, error="down") for n in range(9)]
        results = await processor.retry_failed(failed, wait=0)
        assert all(result.success for result in results)
        assert (probe.peak, now()) == (3, 6)

    async def test_share_a_workflow_context_that_is_given(self) -> None:
        listener, shared = Listener(), WorkflowContext()
        failed = [BatchResult(n, n, False) for n in range(3)]
        await BatchProcessor(listener).retry_failed(failed, 1, 0, shared)
        assert all(seen is shared for seen in listener.shared)

    async def test_go_through_an_overridden_batch_as_completed(self) -> None:
        class OneByOne(BatchProcessor):
            async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
                for index, value in enumerate(inputs):
                    await asyncio.sleep(5)
                    yield await self.process_single(value, index)

        failed = [BatchResult(7, 3, False), BatchResult(9, 4, False)]
        results = await OneByOne(double).retry_failed(failed, wait=0)
        assert [(result.index, result.output) for result in results] == [(7, 6), (9, 8)]
        assert now() == 10

    async def test_name_the_items_own_index_if_nothing_may_fail(self) -> None:
        processor = BatchProcessor(lambda n: 1 // n, continue_on_error=False)
        failed = [BatchResult(7, 0, False), BatchResult(9, 1, False)]
        with pytest.raises(NodeError, match="failed on item 7: ZeroDivisionError") as caught:
            await processor.retry_failed(failed, wait=0)
        assert caught.value.index == 7


@pytest.mark.parametrize("seconds", [0, 1, 2.5, 3, 3.5])
async def test_a_cancel_leaves_no_task(seconds: float) -> None:
    probe = Probe()
    failed = [BatchResult(n, 5, False) for n in range(5)]
    task = asyncio.create_task(BatchProcessor(probe, 2).retry_failed(failed, wait=2))
    await asyncio.sleep(seconds)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    assert sorted(probe.cleaned) == sorted(probe.started)
    assert_only_the_caller_runs()


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"attempts": 0}, ValueError, "attempts must be at least 1, got 0"),
        ({"attempts": True}, TypeError, "attempts must be a positive int"),
        ({"attempts": float("nan")}, ValueError, "attempts must be a positive int, got nan"),
        ({"wait": -1}, ValueError, "wait must not be negative, got -1"),
        ({"wait": "1"}, TypeError, "wait must be a number"),
        ({"wait": float("nan")}, ValueError, "wait must be a finite number"),
    ],
)
async def test_a_bad_value_is_told_even_if_nothing_failed(
    arguments: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        await BatchProcessor(double).retry_failed([BatchResult(0, 1, True)], **arguments)


async def test_gives_what_the_error_recovery_of_the_page_gives() -> None:
    async def batch_with_retry(
        processor: BatchProcessor, inputs: list[Any], max_retries: int = 3
    ) -> list[BatchResult]:
        results = []
        retry_items = []
        batch_results = await processor.batch(inputs)
        for result in batch_results:
            if result.success:
                results.append(result)
            else:
                retry_items.append((result.input_data, result.index, 0))
        while retry_items and max_retries > 0:
            retry_batch = [
                (input_data, original_index, retry_count + 1)
                for input_data, original_index, retry_count in retry_items
                if retry_count < max_retries
            ]
            if not retry_batch:
                break
            await asyncio.sleep(2 ** retry_batch[0][2])
            retry_results = await processor.batch([item[0] for item in retry_batch])
            new_retry_items = []
            for i, result in enumerate(retry_results):
                if result.success:
                    result.index = retry_batch[i][1]
                    results.append(result)
                else:
                    new_retry_items.append(retry_batch[i])
            retry_items = new_retry_items
        return sorted(results, key=lambda r: r.index)

    inputs = items(0, 2, 0, 1, 99, 3, 4)
    by_hand, ours = Flaky(), Flaky()
    expected = await batch_with_retry(BatchProcessor(by_hand), inputs)
    took = now()
    processor = BatchProcessor(ours)
    wait = tenacity.wait_exponential(multiplier=2)
    results = await processor.retry_failed(await processor.batch(inputs), 3, wait)
    assert now() == 2 * took
    assert ours.tries == by_hand.tries
    # By hand what failed for good is lost; here it is told.
    assert [result for result in results if result.success] == expected
    assert [result.index for result in results if not result.success] == [4, 6]
