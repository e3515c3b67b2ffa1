"""A run with a checkpoint: what was done is not done again, and nothing else changes."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchResult, NodeError, NodeResult
from nadoo_flow.checkpoint import Fingerprint

from .helpers import (
    Doubling,
    InMemory,
    as_async,
    as_generator,
    processor,
    raised,
    real,
    resumed_indexes,
)


async def by_batch(runner: Any, inputs: Any) -> list[BatchResult]:
    return list(await runner.batch(inputs))


async def by_as_completed(runner: Any, inputs: Any) -> list[BatchResult]:
    async with runner.batch_as_completed(inputs) as results:
        return sorted([result async for result in results], key=lambda result: result.index)


async def by_observe(runner: Any, inputs: Any) -> list[BatchResult]:
    seen: list[BatchResult] = []
    ended = asyncio.get_running_loop().create_future()
    runner.observe(inputs).subscribe(
        seen.append, ended.set_exception, lambda: ended.set_result(None)
    )
    await ended
    return sorted(seen, key=lambda result: result.index)


async def by_chunks(runner: Any, inputs: Any) -> list[BatchResult]:
    return [result async for chunk in runner.batch_in_chunks(inputs, 7) for result in chunk]


WAYS = [by_batch, by_as_completed, by_observe, by_chunks]


@real
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", [list, as_generator, as_async])
async def test_successes_come_back_and_failures_run_again(
    way: Callable[..., Any], source: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "run.sqlite"
    first, second = Doubling(failing=[3, 50, 99]), Doubling()
    before = await way(processor(path, first), source(range(100)))
    after = await way(processor(path, second), source(range(100)))

    assert sorted(first.executed) == list(range(100))
    assert sorted(second.executed) == [3, 50, 99]
    assert [result.index for result in after] == list(range(100))
    assert [result.output for result in after] == [{"doubled": 2 * n} for n in range(100)]
    assert resumed_indexes(before) == []
    assert resumed_indexes(after) == [n for n in range(100) if n not in (3, 50, 99)]
    for old, new in zip(before, after, strict=True):
        if old.success:
            assert new == dataclasses.replace(old, metadata={"resumed": True})


@real
async def test_the_file_is_one_file_when_the_run_has_ended(tmp_path: Path) -> None:
    await processor(tmp_path / "run.sqlite").batch(range(5))
    assert os.listdir(tmp_path) == ["run.sqlite"]


@real
async def test_an_empty_batch_makes_and_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    assert await processor(path).batch([]) == []
    assert await processor(path).batch([1]) != []


@real
async def test_metadata_comes_back_where_it_is_json(tmp_path: Path) -> None:
    async def work(number: int) -> NodeResult:
        return NodeResult(True, number, metadata={"tokens": 7, "raw": object(), "pair": (1, 2)})

    await processor(tmp_path / "a", work).batch([1])
    (result,) = await processor(tmp_path / "a", work).batch([1])
    assert result.metadata == {"tokens": 7, "resumed": True}


@real
async def test_two_batches_of_one_processor_follow_each_other(tmp_path: Path) -> None:
    work = Doubling()
    runner = processor(tmp_path / "run.sqlite", work)
    await runner.batch(range(5))
    await runner.batch(range(5))
    assert len(work.executed) == 5


@real
async def test_retry_failed_records_under_the_index_of_the_input(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    work = Doubling(failing=[2, 7])
    runner = processor(path, work)
    results = await runner.batch(range(10))
    work.failing = {7}
    results = await runner.retry_failed(results, attempts=1, wait=lambda _: 0)
    assert [result.index for result in results] == list(range(10))
    assert [result.index for result in results if not result.success] == [7]
    work.executed.clear()
    await runner.batch(range(10))
    assert work.executed == [7]


class Pickled:
    """A codec for files that only their owner reads."""

    def encode(self, value: object) -> bytes:
        return pickle.dumps(value)

    def decode(self, data: bytes) -> Any:
        return pickle.loads(data)


@real
async def test_an_output_that_is_no_json_fails_alone_names_codec_and_is_kept(
    tmp_path: Path,
) -> None:
    async def pair(number: int) -> object:
        return (number, number) if number == 1 else number

    path = tmp_path / "run.sqlite"
    results = await processor(path, pair).batch(range(3))
    assert [result.success for result in results] == [True, False, True]
    assert results[1].error == (
        "the output cannot be recorded: TypeError: (1, 1) (tuple) would not come back from JSON "
        "as it is; another codec= can store what JSON cannot"
    )
    assert results[1].output == (1, 1)
    assert isinstance(results[1].exception, TypeError)
    with pytest.raises(NodeError, match="codec="):
        await processor(tmp_path / "b", pair, continue_on_error=False).batch(range(3))


@real
async def test_a_codec_of_ones_own_stores_outputs_and_tells_inputs_apart(tmp_path: Path) -> None:
    async def pair(data: Any) -> object:
        return (data, {1: b"bytes"})

    for _ in range(2):
        results = await processor(tmp_path / "a", pair, codec=Pickled()).batch([len, ord])
    assert [result.output for result in results] == [(len, {1: b"bytes"}), (ord, {1: b"bytes"})]
    assert resumed_indexes(results) == [0, 1]
    message = await raised(processor(tmp_path / "a", pair, codec=Pickled()).batch([ord]))
    assert "item 0 was <built-in function len>" in message


@real
async def test_a_file_from_a_stranger_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await processor(path, codec=Pickled()).batch([1])
    message = await raised(processor(path).batch([1]))
    assert "holds an output of item 0 that the codec cannot read" in message


@real
async def test_an_error_of_the_inputs_comes_after_the_results_before_it(tmp_path: Path) -> None:
    def broken() -> Iterable[int]:
        yield from range(5)
        raise OSError("the inputs are gone")

    path = tmp_path / "run.sqlite"
    for _ in range(2):
        seen = []
        with pytest.raises(OSError, match="gone"):
            async for result in processor(path).batch_as_completed(broken()):
                seen.append(result.index)
        assert sorted(seen) == list(range(5))


@real
async def test_progress_and_events_count_what_is_resumed(tmp_path: Path) -> None:
    await processor(tmp_path / "a").batch(range(3))
    runner = processor(tmp_path / "a")
    kinds: list[str] = []
    runner.events.subscribe(lambda event: kinds.append(event.kind))
    await runner.batch(range(4))
    assert kinds.count("finished") == 4


@real
async def test_what_was_kept_of_an_item_that_failed_is_forgotten() -> None:
    async def fail(text: str) -> None:
        raise ValueError(text)

    def count_kept() -> int:
        prints = [one for one in gc.get_objects() if isinstance(one, Fingerprint)]
        return sum("to be forgotten" in one.preview for one in prints)

    inputs = [f"{number}, to be forgotten" for number in range(1_000)]
    failed = 0
    async with processor(InMemory(), fail).batch_as_completed(inputs) as results:
        async for _ in results:
            failed += 1
            if failed == 900:
                kept = count_kept()
    assert failed == 1_000
    assert kept <= 40  # those of the window, which have not failed yet


@pytest.mark.parametrize("wrong", [5, b"file", InMemory, object()])
def test_a_checkpoint_is_a_path_or_a_checkpoint(wrong: object) -> None:
    with pytest.raises(TypeError, match="checkpoint"):
        processor(wrong)


@pytest.mark.slow
@real
async def test_records_far_apart_are_found_in_steps(tmp_path: Path) -> None:
    work = Doubling(failing=range(0, 3_000, 2))
    path = tmp_path / "run.sqlite"
    await processor(path, work).batch(range(3_000))
    for way in (by_batch, by_as_completed):
        work = Doubling(failing=range(0, 3_000, 2))
        results = await way(processor(path, work), as_async(range(3_000)))
        assert resumed_indexes(results) == list(range(1, 3_000, 2))
        assert sorted(work.executed) == list(range(0, 3_000, 2))
