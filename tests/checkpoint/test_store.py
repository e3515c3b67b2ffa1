"""A checkpoint is called in order, from one thread, and its errors end the run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, Checkpoint, CheckpointError, FunctionNode
from nadoo_flow.checkpoint import Record

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
