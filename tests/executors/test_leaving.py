"""Runs that are left leave nothing behind: no task, no work on the executor, no process."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import threading
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode
from nadoo_flow.executors import on
from nadoo_flow.policies import timeout

from ..stand_ins import assert_only_the_caller_runs, double, now, raised_by
from .helpers import ByHand, real, turns, two_processes
from .work import note, rest


async def first_of_many(node: Any) -> None:
    """Take one result of an endless run, and leave it."""
    async with BatchProcessor(node, 50).batch_as_completed(count()) as results:
        async for result in results:
            assert result.success
            break
    assert_only_the_caller_runs()


async def assert_empty(client: Client) -> None:
    """Dask has nothing any more; a client tells its scheduler soon, and without waiting for it."""
    async with asyncio.timeout(30):
        while client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class TestAnEarlyBreak:
    @pytest.mark.slow
    @real
    async def test_leaves_no_process_and_no_thread_of_a_pool_that_a_function_makes(self) -> None:
        processes, threads = set(multiprocessing.active_children()), set(threading.enumerate())
        made: list[Executor] = []

        def make() -> Executor:
            made.append(two_processes())
            return made[-1]

        await first_of_many(FunctionNode(rest).pipe(on(make)))
        assert len(made) == 1
        # Those of other tests may have ended meanwhile.
        assert set(multiprocessing.active_children()) <= processes
        assert set(threading.enumerate()) <= threads

    @pytest.mark.slow
    @real
    @pytest.mark.parametrize("kind", ["threads", "processes"])
    async def test_leaves_no_work_on_an_executor_of_the_callers(
        self, kind: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        executor: Executor = request.getfixturevalue(kind)
        file = tmp_path / "notes"
        await first_of_many(FunctionNode(partial(note, file), "it").pipe(on(executor)))
        noted = file.read_bytes()
        # What was left would come before this.
        assert list(executor.map(double, range(10))) == list(range(0, 20, 2))
        assert file.read_bytes() == noted

    @pytest.mark.slow
    @real
    async def test_leaves_no_task_on_dask(self, dask: Client) -> None:
        await first_of_many(FunctionNode(rest).pipe(on(dask, chunk=2)))
        await assert_empty(dask)


@pytest.mark.slow
@real
async def test_dask_keeps_no_result_of_a_run_that_has_ended(dask: Client) -> None:
    def work(number: int) -> int:
        if number == 1:
            raise KeyboardInterrupt
        return rest(number)

    gc.collect()
    gc.disable()  # it could come late
    try:
        results = await BatchProcessor(FunctionNode(work).pipe(on(dask)), 50).batch(range(100))
        assert len(results.successful) == 99
        await assert_empty(dask)
    finally:
        gc.enable()


@pytest.mark.slow
@real
async def test_a_stage_of_a_fused_pipeline_runs_on_dask_and_its_neighbours_in_the_loop(
    dask: Client,
) -> None:
    def where(item: list[int]) -> list[int]:
        return [*item, os.getpid()]

    chain = (
        MapNode("before", lambda number: where([number]), "numbers", "a")
        | MapNode("far", FunctionNode(where).pipe(on(dask)), "a", "b", max_concurrency=20)
        | FilterNode("even", lambda item: item[0] % 2 == 0, "b", "c")
        | MapNode("after", where, "c", "d")
    )
    output = await chain.run({"numbers": range(40)})
    here = os.getpid()
    assert [item[0] for item in output["d"]] == list(range(0, 40, 2))
    assert {(item[1], item[3]) for item in output["d"]} == {(here, here)}
    workers = set(dask.run(os.getpid).values())
    assert {item[2] for item in output["d"]} <= workers


class TestACancelledCall:
    async def test_that_was_not_sent_is_not_sent(self) -> None:
        executor = ByHand()
        node = FunctionNode(double).pipe(on(executor, lanes=1, chunk=1))
        first, second = (asyncio.create_task(node.run(number)) for number in (1, 2))
        await turns()
        second.cancel()
        await raised_by(second)
        executor.do(0)
        assert await first == 2
        assert executor.sizes == [1]

    async def test_takes_a_bundle_that_nobody_waits_for_from_the_executor(self) -> None:
        executor = ByHand()
        node = FunctionNode(double).pipe(on(executor, chunk=2))
        calls = [asyncio.create_task(node.run(number)) for number in range(2)]
        await turns()
        assert executor.sizes == [2]
        calls[0].cancel()
        await turns()
        assert not executor.bundles[0][0].cancelled()
        calls[1].cancel()
        await turns()
        assert executor.bundles[0][0].cancelled()
        assert [type(await raised_by(call)) for call in calls] == [asyncio.CancelledError] * 2
        assert_only_the_caller_runs()

    async def test_leaves_the_others_of_its_bundle_alone(self) -> None:
        executor = ByHand()
        node = FunctionNode(double).pipe(on(executor, chunk=2))
        calls = [asyncio.create_task(node.run(number)) for number in range(2)]
        await turns()
        calls[0].cancel()
        await turns()
        executor.do(0)
        assert await calls[1] == 2

    async def test_that_has_started_holds_up_its_timeout_but_the_end_of_its_run_not_for_long(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        executor = ByHand()
        node = FunctionNode(double).pipe(on(executor, lanes=1), timeout(3))
        run = asyncio.create_task(BatchProcessor(node, 1).batch([1]))
        await turns()
        executor.bundles[0][0].set_running_or_notify_cancel()
        with caplog.at_level(logging.WARNING):
            (result,) = await run
        assert result.error == "TimeoutError: not finished within 3 s"
        assert (result.execution_time, now()) == (3, 8)
        assert "still busy" in caplog.text

    async def test_that_has_started_is_waited_for_at_the_end_of_its_run(self) -> None:
        executor = ByHand()
        node = FunctionNode(double).pipe(on(executor))
        run = asyncio.create_task(BatchProcessor(node, 1).batch([1]))
        await turns()
        executor.bundles[0][0].set_running_or_notify_cancel()
        run.cancel()
        await turns()
        assert not run.done()
        executor.bundles[0][0].set_result(b"")
        assert isinstance(await raised_by(run), asyncio.CancelledError)
        assert now() < 1e-3
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("after", [1.0, 1.5])
    async def test_rule_r26_hears_of_the_end_of_its_run_while_a_timeout_around_it_unwinds(
        self, after: float
    ) -> None:
        executor = ByHand()
        far = FunctionNode(double).pipe(on(executor))

        async def work(number: int) -> int:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        try:
                            await far.run(number)
                        finally:
                            await asyncio.sleep(1)

        run = asyncio.create_task(BatchProcessor(work).batch(range(3)))
        await asyncio.sleep(after)
        run.cancel()
        assert isinstance(await raised_by(run), asyncio.CancelledError)
        assert now() == pytest.approx(
            3
        )  # the cancel comes with the second try, which cleans up too
        assert_only_the_caller_runs()
