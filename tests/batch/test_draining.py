"""Batches that are drained, in each of the forms in which they are run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, BatchResult, MicroBatchNode, NodeError, Valve

from ..checkpoint.helpers import Doubling, real
from ..checkpoint.helpers import processor as with_checkpoint
from ..stand_ins import Probe, assert_only_the_caller_runs, now, observed, raised_by


async def slowly(item: Any) -> Any:
    await asyncio.sleep(1)
    return item


def inputs_of(results: list[BatchResult]) -> list[Any]:
    return sorted(result.input_data for result in results)


async def test_rule_r50_every_form_of_a_batch_can_be_drained() -> None:
    valve = Valve()
    processor = BatchProcessor(slowly, max_concurrency=2, valve=valve)
    emitted: list[BatchResult] = []

    async def chunked() -> list[list[BatchResult]]:
        return [chunk async for chunk in processor.batch_in_chunks(range(100), 3)]

    batch = asyncio.create_task(processor.batch(range(100)))
    chunks = asyncio.create_task(chunked())
    observing = asyncio.create_task(observed(processor.observe(range(100)), emitted))
    await asyncio.sleep(1.5)
    assert repr(valve) == "<Valve: open, 3 runs>"
    assert await valve.drain() == 0
    assert repr(valve) == "<Valve: closed, 0 runs>"
    assert [result.output for result in await batch] == [0, 1, 2, 3]
    assert [inputs_of(chunk) for chunk in await chunks] == [[0, 1, 2], [3]]
    assert (await observing, inputs_of(emitted), now()) == (None, [0, 1, 2, 3], 2)
    assert list(await processor.batch(range(3))) == []
    assert_only_the_caller_runs()


async def test_a_batch_that_a_subclass_yields_itself_can_be_drained() -> None:
    class Own(BatchProcessor):
        async def batch_as_completed(  # type: ignore[override]
            self, inputs: Any, workflow_context: Any = None
        ) -> AsyncIterator[BatchResult]:
            async with super().batch_as_completed(inputs, workflow_context) as results:
                async for result in results:
                    yield result

    valve = Valve()
    batch = asyncio.create_task(Own(slowly, max_concurrency=2, valve=valve).batch(range(100)))
    await asyncio.sleep(0.5)
    valve.drain()
    assert inputs_of(await batch) == [0, 1]


async def test_the_consumer_may_drain_what_it_iterates_over() -> None:
    taken: list[int] = []
    results = BatchProcessor(slowly, max_concurrency=2).batch_as_completed(range(100))
    async with results:
        async for result in results:
            taken.append(result.input_data)
            if result.output == 3:
                results.drain()
    # Those that were in work when 3 came.
    assert sorted(taken) == [0, 1, 2, 3, 4, 5]


async def test_failures_are_results_of_a_drained_run_or_end_it() -> None:
    async def fails(item: int) -> None:
        await asyncio.sleep(1)
        raise ValueError(item)

    for continue_on_error in (True, False):
        valve = Valve()
        processor = BatchProcessor(fails, 2, continue_on_error, valve=valve)
        batch = asyncio.create_task(raised_by(processor.batch(range(100))))
        await asyncio.sleep(0.5)
        valve.drain()
        error = await batch
        assert error is None if continue_on_error else isinstance(error, NodeError)


async def test_a_timeout_of_a_batch_cancels_and_counts_what_is_in_work() -> None:
    probe, valve = Probe(), Valve()
    batch = asyncio.create_task(
        BatchProcessor(probe, max_concurrency=3, valve=valve).batch([1, 20, 30, 1])
    )
    await asyncio.sleep(1)
    assert await valve.drain(5) == 2
    assert inputs_of(await batch) == [1]
    probe.assert_cleaned()


async def test_inputs_that_wait_for_their_key_are_not_started() -> None:
    valve = Valve()
    processor = BatchProcessor(slowly, 2, key=lambda item: item % 3, valve=valve)
    batch = asyncio.create_task(processor.batch(range(100)))
    await asyncio.sleep(0.5)
    await valve.drain()
    assert inputs_of(await batch) == [0, 1]
    assert now() == 1


async def test_a_micro_batch_that_waits_for_more_is_not_waited_for_in_vain() -> None:
    async def ask(items: list[int]) -> list[int]:
        await asyncio.sleep(1)
        return items

    node = MicroBatchNode(ask, max_size=10, max_wait=5)
    valve = Valve()
    batch = asyncio.create_task(BatchProcessor(node, 20, valve=valve).batch(waiting_after(3)))
    await asyncio.sleep(2)
    await valve.drain()
    assert inputs_of(await batch) == [0, 1, 2]
    assert now() == 3


async def waiting_after(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number
    await asyncio.get_running_loop().create_future()


def test_what_is_no_valve_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^valve must be a Valve, got 'v' \(str\)$"):
        BatchProcessor(slowly, valve="v")  # type: ignore[call-overload]


@real
async def test_a_drained_batch_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    work, path = Doubling(), tmp_path / "checkpoint"
    seen: list[int] = []
    for limit in (30, 60, 100):
        results = with_checkpoint(path, work, max_concurrency=5).batch_as_completed(range(100))
        run: set[int] = set()
        async for result in results:
            run.add(result.index)
            if len(run) == limit and limit < 100:
                assert await results.drain() == 0
        assert len(run) >= limit
        seen = sorted(run)
    assert seen == list(range(100))
    assert sorted(work.executed) == list(range(100))


@real
async def test_what_a_drain_cancels_is_executed_again(tmp_path: Path) -> None:
    path, never = tmp_path / "checkpoint", asyncio.Event()
    executed: list[int] = []

    async def work(number: int) -> int:
        executed.append(number)
        if number == 3:
            await never.wait()
        return number

    processor = with_checkpoint(path, work, max_concurrency=2)
    results = processor.batch_as_completed(range(10))
    seen = []
    async for result in results:
        seen.append(result.index)
        if len(seen) == 9:
            assert await results.drain(0.01) == 1
    assert sorted(seen) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    never.set()
    assert [result.output for result in await processor.batch(range(10))] == list(range(10))
    assert sorted(executed) == sorted([*range(10), 3])
