"""A run with a checkpoint: what was done is not done again, and nothing else changes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    Checkpoint,
    CheckpointError,
    FunctionNode,
    NodeError,
    NodeResult,
)
from nadoo_flow.checkpoint import Record
from nadoo_flow.checkpoint.recording import MOST_UNRECORDED
from nadoo_flow.streams import Buffering, drain

from .helpers import (
    Doubling,
    InMemory,
    as_async,
    as_generator,
    processor,
    raised,
    real,
    resumed_indexes,
    turns,
    until,
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
async def test_more_inputs_than_before_go_on_behind_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await processor(path).batch(range(40))
    work = Doubling()
    results = await processor(path, work).batch(range(1_000))
    assert sorted(work.executed) == list(range(40, 1_000))
    assert len(results) == 1_000
    # And all of them are there the third time, some thousand records read in several steps.
    work = Doubling()
    assert resumed_indexes(await processor(path, work).batch(range(1_000))) == list(range(1_000))
    assert work.executed == []


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


@real
async def test_a_mutable_input_is_recognised_by_what_it_was_before_the_node(tmp_path: Path) -> None:
    async def spoil(data: dict[str, int]) -> int:
        data["seen"] = 1
        return data.pop("n")

    for _ in range(2):
        results = await processor(tmp_path / "a", spoil).batch([{"n": 5}])
    assert results[0].output == 5
    assert resumed_indexes(results) == [0]


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


class Stuck(InMemory):
    """A disk that hangs until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def record(self, records: Iterable[Record]) -> None:
        assert self.go_on.wait(10)
        super().record(records)


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
async def test_the_calls_of_a_checkpoint_of_ones_own_come_in_order_from_one_thread() -> None:
    threads = set()

    class Watched(InMemory):
        def __getattribute__(self, name: str) -> Any:
            if name in ("open", "completed", "record", "close"):
                threads.add(threading.current_thread())
            return super().__getattribute__(name)

    checkpoint = Watched()
    assert isinstance(checkpoint, Checkpoint)
    threads.clear()
    runner = processor(checkpoint)
    await runner.batch(range(3))
    assert checkpoint.calls[:2] == ["open doubling FunctionNode", "completed"]
    assert set(checkpoint.calls[2:-1]) == {"record"}
    assert checkpoint.calls[-1] == "close"
    assert resumed_indexes(await runner.batch(range(3))) == [0, 1, 2]


@real
async def test_an_error_of_ones_own_checkpoint_ends_the_run_and_hands_out_what_is_lost() -> None:
    class Full(InMemory):
        def record(self, records: Iterable[Record]) -> None:
            raise OSError("no room")

    with pytest.raises(CheckpointError, match="the checkpoint failed: OSError: no room") as caught:
        await processor(Full()).batch([1])
    assert isinstance(caught.value.__cause__, OSError)
    assert [result.output for result in caught.value.unrecorded] == [{"doubled": 2}]


@real
async def test_other_inputs_are_refused_by_name_and_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await processor(path, Doubling(failing=[0])).batch(range(100))
    other = Doubling()
    message = await raised(processor(path, other).batch([n + (n == 7) for n in range(100)]))
    assert message == (
        f"the checkpoint {str(path)!r} belongs to other inputs: item 7 was "
        "7 (sha256 7902699b…), but is now 8 (sha256 2c624232…); use another file"
    )
    assert other.executed == []
    again = Doubling()
    await processor(path, again).batch(range(100))
    assert again.executed == [0]


@real
async def test_another_node_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await processor(path).batch([1])
    message = await raised(BatchProcessor(FunctionNode(len, "length"), checkpoint=path).batch([1]))
    assert message == (
        f"the checkpoint {str(path)!r} belongs to the node 'doubling' (FunctionNode), "
        "not to 'length' (FunctionNode); use another file"
    )


@real
async def test_an_input_without_a_fingerprint_is_refused_before_it_is_paid_for(
    tmp_path: Path,
) -> None:
    work = Doubling()
    message = await raised(processor(tmp_path / "a", work).batch([len]))
    assert message == (
        "item 0: the input <built-in function len> (builtin_function_or_method) has no "
        "fingerprint, by which a checkpoint could recognise it (TypeError: "
        "builtin_function_or_method is not JSON serializable); make inputs of JSON values, or "
        "pass a codec= that encodes them"
    )
    assert work.executed == []


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


@pytest.mark.parametrize("wrong", [5, b"file", InMemory, object()])
def test_a_checkpoint_is_a_path_or_a_checkpoint(wrong: object) -> None:
    with pytest.raises(TypeError, match="checkpoint"):
        processor(wrong)


@real
async def test_a_disk_that_fails_when_the_run_was_cancelled_is_told_to_the_loop() -> None:
    class Failing(Stuck):
        def record(self, records: Iterable[Record]) -> None:
            assert self.go_on.wait(10)
            raise OSError("no room")

    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    checkpoint, work = Failing(), Doubling()
    run = asyncio.create_task(processor(checkpoint, work).batch(range(10)))
    await until(lambda: len(work.executed) == 10)
    await turns()
    run.cancel()
    await turns()
    checkpoint.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert told == ["the checkpoint failed: OSError: no room"]
    assert checkpoint.calls[-1] == "close"


@real
@pytest.mark.parametrize("done", [False, True])
async def test_what_a_consumer_raises_ends_the_run(done: bool) -> None:
    def refuse(result: BatchResult) -> None:
        raise LookupError("not this one")

    checkpoint = InMemory()
    if done:
        await processor(checkpoint).batch([1])
    plan = processor(checkpoint)._plan([1], None, Buffering())
    with pytest.raises(LookupError, match="not this one"):
        await drain(plan, refuse)
    assert checkpoint.calls[-1] == "close"


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
