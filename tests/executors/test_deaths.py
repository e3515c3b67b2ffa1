"""Workers that are killed, and items that kill them: nothing is lost, and only the guilty fail."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client

from nadoo_flow import BatchProcessor, Event, FunctionNode
from nadoo_flow.executors import ExecutorLost, WorkerLost, on

from ..stand_ins import assert_only_the_caller_runs
from .helpers import local_cluster, real, two_processes
from .work import die_at_13, name_worker

pytestmark = [real, pytest.mark.slow]


async def killing(node: Any, items: int, kill_at: set[int]) -> Counter[Any]:
    """Run a batch, kill the worker whose result comes at these places, and count all results."""
    seen: Counter[Any] = Counter()
    async with BatchProcessor(node, 100).batch_as_completed(range(items)) as results:
        async for result in results:
            assert result.error is None
            number, pid = result.output
            seen[number] += 1
            if seen.total() in kill_at:
                os.kill(pid, signal.SIGKILL)
    assert_only_the_caller_runs()
    return seen


KILLS = pytest.mark.parametrize(("items", "kill_at"), [(600, {200}), (1600, {200, 600, 1000})])


class TestAPoolThatAFunctionMakes:
    @KILLS
    async def test_loses_nothing_when_workers_are_killed(
        self, items: int, kill_at: set[int]
    ) -> None:
        node = FunctionNode(name_worker).pipe(on(two_processes))
        before = set(multiprocessing.active_children())
        assert await killing(node, items, kill_at) == Counter(range(items))
        assert set(multiprocessing.active_children()) == before

    async def test_finds_the_item_that_kills_its_workers(self) -> None:
        node = FunctionNode(die_at_13, "it").pipe(on(two_processes, chunk=1, lanes=2))
        processor = BatchProcessor(node, 20)
        retried: Counter[int | None] = Counter()

        def note(event: Event) -> None:
            retried[event.index] += event.kind == "retried"

        processor.events.subscribe(note)
        results = await processor.batch(range(20))
        failed = [result for result in results if not result.success]
        assert [result.index for result in failed] == [13]
        assert isinstance(failed[0].exception, WorkerLost)
        assert "workers died" in str(failed[0].error)
        assert retried[13] == max(retried.values()) >= 3
        assert [result.output for result in results if result.success] == [
            number for number in range(20) if number != 13
        ]


class TestDask:
    @KILLS
    async def test_loses_nothing_when_workers_are_killed(
        self, items: int, kill_at: set[int]
    ) -> None:
        with local_cluster() as cluster, Client(cluster) as client:
            node = FunctionNode(name_worker).pipe(on(client))
            assert await killing(node, items, kill_at) == Counter(range(items))

    async def test_finds_the_item_that_kills_its_workers(self) -> None:
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            local_cluster() as cluster,
            Client(cluster) as client,
        ):
            node = FunctionNode(die_at_13, "it").pipe(on(client, chunk=1))
            results = await BatchProcessor(node, 20).batch(range(20))
        failed = [result for result in results if not result.success]
        assert [result.index for result in failed] == [13]
        assert isinstance(failed[0].exception, WorkerLost)


async def test_a_pool_of_the_callers_fails_what_it_has_when_it_breaks_and_all_after_it() -> None:
    with two_processes() as pool:
        node = FunctionNode(die_at_13, "it").pipe(on(pool, chunk=1, lanes=2))
        results = await BatchProcessor(node, 2).batch(range(60))
    lost = [result for result in results if not result.success]
    assert {13, 59} <= {result.index for result in lost}
    told = "ExecutorLost: the executor failed: BrokenProcessPool: "
    assert [result.error for result in lost if not str(result.error).startswith(told)] == []
    assert {type(result.exception) for result in lost} == {ExecutorLost}


SCHEDULER = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
WORKER = ("worker", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Dask's."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", "dask", *arguments], **quiet)  # type: ignore
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_scheduler_of_dask_that_is_killed_is_told(tmp_path: Path) -> None:
    file = str(tmp_path / "scheduler.json")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        command(*SCHEDULER, "--scheduler-file", file) as scheduler,
        command(*WORKER, "--scheduler-file", file),
        Client(scheduler_file=file) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        results = []
        node = FunctionNode(name_worker).pipe(on(client))
        async for result in BatchProcessor(node, 20).batch_as_completed(range(200)):
            results.append(result)
            if len(results) == 50:
                scheduler.kill()
    assert len(results) == 200
    lost = [result for result in results if not result.success]
    assert lost[-1] is results[-1]
    assert {type(result.exception) for result in lost} == {ExecutorLost}
    gave_up = (
        "ExecutorLost: the executor cancelled the item: it was shut down, or lost its scheduler"
    )
    assert gave_up in {result.error for result in lost}
