"""Behind the nodes: what is delivered is on the disk, and a slow disk holds nothing else up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from nadoo_flow import BatchResult, NodeError
from nadoo_flow.checkpoint.delivery import MOST_UNRECORDED
from nadoo_flow.streams import Buffering, drain

from ..stand_ins import raised_by
from .helpers import Doubling, InMemory, Stuck, processor, real, resumed_indexes, turns, until


@real
async def test_a_result_is_recorded_before_it_is_delivered(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    checkpoint = InMemory()
    async with processor(checkpoint, max_concurrency=3).batch_as_completed(range(50)) as results:
        async for result in results:
            assert result.index in checkpoint.records
    assert not path.exists()


@real
async def test_a_run_that_is_left_records_what_it_had_finished(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    first = Doubling()
    async with processor(path, first).batch_as_completed(range(1_000)) as results:
        async for _ in results:
            break
    second = Doubling()
    results = await processor(path, second).batch(range(1_000))
    assert len(results) == 1_000
    assert set(second.executed) == set(range(1_000)) - set(resumed_indexes(results))
    # At most one for each lane was in work and is lost.
    assert len(set(first.executed) & set(second.executed)) <= 10


@real
async def test_the_first_failure_that_is_raised_keeps_what_was_finished(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    runner = processor(path, Doubling(failing=[30]), max_concurrency=2, continue_on_error=False)
    with pytest.raises(NodeError, match="item 30: ValueError: not 30"):
        await runner.batch(range(60))
    work = Doubling()
    await processor(path, work).batch(range(60))
    assert 30 in work.executed
    assert set(range(29)).isdisjoint(work.executed)


@real
async def test_a_slow_consumer_still_slows_the_inputs_down() -> None:
    pulled = 0

    def endless() -> Iterable[int]:
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled

    runner = processor(InMemory(), max_concurrency=5)
    async with runner.batch_as_completed(endless()) as results:
        await anext(results)
        await turns(2_000)
    assert pulled <= 20 + MOST_UNRECORDED


@real
async def test_the_loop_goes_on_while_the_disk_hangs_and_inputs_wait_in_the_end() -> None:
    checkpoint, work = Stuck(), Doubling()
    run = asyncio.create_task(processor(checkpoint, work, max_concurrency=5).batch(range(9_000)))
    # Inputs are pulled again when a quarter of the window is free.
    await until(lambda: len(work.executed) >= 15 + MOST_UNRECORDED)
    await turns()
    assert len(work.executed) <= 20 + MOST_UNRECORDED
    checkpoint.go_on.set()
    assert len(await run) == 9_000


@real
async def test_a_cancelled_run_ends_after_its_disk() -> None:
    checkpoint, work = Stuck(), Doubling()
    run = asyncio.create_task(processor(checkpoint, work).batch(range(100)))
    await until(lambda: len(work.executed) == 100)
    await turns()
    run.cancel()
    await turns()
    assert not run.done()
    checkpoint.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert checkpoint.calls[-1] == "close"
    assert sorted(checkpoint.records) == list(range(100))


@real
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("error", [LookupError, GeneratorExit, BaseException])
async def test_what_a_consumer_raises_ends_the_run(done: bool, error: type[BaseException]) -> None:
    def refuse(result: BatchResult) -> None:
        raise error("not this one")

    checkpoint = InMemory()
    if done:
        await processor(checkpoint).batch([1])
    plan = processor(checkpoint)._plan([1], None, Buffering())
    async with asyncio.timeout(60):
        assert str(await raised_by(drain(plan, refuse))) == "not this one"
    assert checkpoint.calls[-1] == "close"
