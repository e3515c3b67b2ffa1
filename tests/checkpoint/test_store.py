"""A checkpoint is called in order, from one thread, and its errors end the run."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, Checkpoint, CheckpointError, FunctionNode
from nadoo_flow.checkpoint import Record

from ..stand_ins import assert_only_the_caller_runs
from .helpers import (
    Doubling,
    InMemory,
    Stuck,
    processor,
    raised,
    real,
    resumed_indexes,
    turns,
    until,
)


@real
async def test_the_calls_of_a_checkpoint_of_ones_own_come_in_order_from_one_thread() -> None:
    threads = set()

    class Watched(InMemory):
        def __getattribute__(self, name: str) -> Any:
            if name in ("open", "read_completed", "record", "close"):
                threads.add(threading.current_thread())
            return super().__getattribute__(name)

    checkpoint = Watched()
    assert isinstance(checkpoint, Checkpoint)
    threads.clear()
    runner = processor(checkpoint)
    await runner.batch(range(3))
    assert checkpoint.calls[:2] == ["open doubling FunctionNode", "read_completed"]
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
async def test_another_node_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await processor(path).batch([1])
    message = await raised(BatchProcessor(FunctionNode(len, "length"), checkpoint=path).batch([1]))
    assert message == (
        f"the checkpoint {str(path)!r} belongs to the node 'doubling' (FunctionNode), "
        "not to 'length' (FunctionNode); use another file"
    )


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


def test_a_checkpoint_that_would_have_to_be_awaited_is_refused() -> None:
    class Awaited(InMemory):
        async def record(self, records: Iterable[Record]) -> None:  # type: ignore[override]
            super().record(records)

    with pytest.raises(TypeError, match=r"methods that are not async, .* but record\(\) of"):
        processor(Awaited())


ODD = [StopIteration, GeneratorExit, asyncio.CancelledError, SystemExit, BaseException]


@real
@pytest.mark.parametrize("call", ["open", "read_completed", "record", "close"])
@pytest.mark.parametrize("error", ODD)
async def test_rule_r26_whatever_a_checkpoint_raises_ends_the_run(
    call: str, error: type[BaseException]
) -> None:
    class Odd(InMemory):
        def __getattribute__(self, name: str) -> Any:
            return raise_odd if name == call else super().__getattribute__(name)

    def raise_odd(*_: Any) -> None:
        raise error("odd")

    async with asyncio.timeout(60):
        message = await raised(processor(Odd()).batch(range(3)))
    assert message == f"the checkpoint failed: {error.__name__}: odd"
    assert_only_the_caller_runs()


class OddCodec:
    """Raises when it sees a certain value, or reads anything."""

    def __init__(self, error: type[BaseException], value: Any = None) -> None:
        self.error = error
        self.value = value

    def encode(self, value: Any) -> bytes:
        if value == self.value:
            raise self.error("odd")
        return json.dumps(value).encode()

    def decode(self, data: bytes) -> Any:
        raise self.error("odd")


ODD_OF_A_CODEC = [StopIteration, GeneratorExit, asyncio.CancelledError]


@real
@pytest.mark.parametrize("error", ODD_OF_A_CODEC)
async def test_rule_r26_whatever_a_codec_raises_of_an_output_fails_its_item_alone(
    error: type[BaseException],
) -> None:
    codec = OddCodec(error, {"doubled": 2})
    async with asyncio.timeout(60):
        results = await processor(InMemory(), codec=codec).batch(range(3))
    assert [result.success for result in results] == [True, False, True]
    assert f"the output cannot be recorded: {error.__name__}: odd" in str(results[1].error)


@real
async def test_rule_r26_what_a_codec_returns_instead_of_bytes_fails_its_item_alone() -> None:
    class Forgetful(OddCodec):
        def encode(self, value: Any) -> bytes:
            return super().encode(value) if value != self.value else None  # type: ignore[return-value]

    codec = Forgetful(ValueError, {"doubled": 2})
    results = await processor(InMemory(), codec=codec).batch(range(3))
    assert [result.success for result in results] == [True, False, True]
    assert "encode() of the codec must return bytes, got None" in str(results[1].error)


@real
@pytest.mark.parametrize("error", ODD_OF_A_CODEC)
async def test_rule_r26_whatever_a_codec_raises_of_what_is_recorded_ends_the_run(
    error: type[BaseException],
) -> None:
    checkpoint = InMemory()
    await processor(checkpoint).batch(range(3))
    async with asyncio.timeout(60):
        message = await raised(processor(checkpoint, codec=OddCodec(error)).batch(range(3)))
    assert message.endswith(f"that the codec cannot read: {error.__name__}: odd")


@real
@pytest.mark.parametrize("error", ODD_OF_A_CODEC)
async def test_rule_r26_whatever_a_codec_raises_of_an_input_ends_the_run(
    error: type[BaseException],
) -> None:
    strange = object()
    codec = OddCodec(error, strange)
    async with asyncio.timeout(60):
        message = await raised(processor(InMemory(), codec=codec).batch([1, strange]))
    assert message.endswith(f"for its fingerprint: {error.__name__}: odd")
