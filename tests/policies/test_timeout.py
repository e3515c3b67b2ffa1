"""timeout: what takes too long fails, and has ended when that is told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from nadoo_flow import (
    BatchProcessor,
    FunctionNode,
    MapNode,
    NodeResult,
    ParallelNode,
    ParallelStrategy,
)
from nadoo_flow.policies import retry, timeout

from ..stand_ins import (
    CLEAN_UP,
    Probe,
    ScriptedNode,
    assert_only_the_caller_runs,
    now,
    raised_by,
    slowly,
)
from .services import outcome

LATE = "TimeoutError: not finished within 5 s"


class TestTheLimit:
    @pytest.mark.parametrize(
        ("seconds", "words"), [(5, "5"), (5.0, "5"), (0.25, "0.25"), (1e-3, "0.001"), (90, "90")]
    )
    async def test_is_named_by_the_failure(self, seconds: float, words: str) -> None:
        result = await outcome(FunctionNode(slowly).pipe(timeout(seconds)), {"item": 100})
        assert result.error == f"TimeoutError: not finished within {words} s"
        assert (result.success, result.output) == (False, None)
        assert isinstance(result.exception, TimeoutError)
        assert now() == seconds

    async def test_is_for_each_item_by_itself(self) -> None:
        processor = BatchProcessor(FunctionNode(slowly).pipe(timeout(5)), 2)
        results = await processor.batch([4, 9, 1, 2, 8, 3])
        assert [result.error for result in results] == [None, LATE, None, None, LATE, None]
        assert [result.execution_time for result in results] == [4, 5, 1, 2, 5, 3]

    async def test_of_one_item_does_not_reach_the_next_in_its_slot(self) -> None:
        results = await BatchProcessor(FunctionNode(slowly).pipe(timeout(5)), 1).batch([3, 4, 4])
        assert [result.error for result in results] == [None, None, None]
        assert now() == 11

    async def test_leaves_the_answer_as_it_is(self) -> None:
        async def script(_: Any) -> NodeResult:
            return handed_out

        handed_out = NodeResult(True, "output", metadata={"tokens": 7})
        node = ScriptedNode(script).pipe(timeout(5))
        result = await outcome(node, {"item": 0})
        assert result is handed_out

    @pytest.mark.parametrize(("inner", "outer", "named"), [(2, 5, 2), (5, 2, 2)])
    async def test_that_is_reached_first_is_named(
        self, inner: float, outer: float, named: float
    ) -> None:
        node = FunctionNode(slowly).pipe(timeout(inner), timeout(outer))
        result = await outcome(node, {"item": 100})
        assert result.error == f"TimeoutError: not finished within {named} s"
        assert now() == named

    async def test_that_is_reached_during_the_clean_up_of_another_breaks_it_off(self) -> None:
        probe = Probe()
        node = FunctionNode(probe).pipe(timeout(5), timeout(5.5))
        result = await outcome(node, {"item": 100})
        assert result.error == "TimeoutError: not finished within 5.5 s"
        assert (now(), probe.cleaned) == (5.5, [])


class TestTheFinallyBlocks:
    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_have_run_before_the_slot_is_used_again(self, isolate: Any) -> None:
        probe = Probe()
        started: list[float] = []

        async def work(seconds: float) -> float:
            started.append(now())
            return await probe(seconds)

        node = FunctionNode(work)
        node.isolate = isolate
        results = await BatchProcessor(node.pipe(timeout(5)), 1).batch([10, 1, 20, 2])
        assert [result.error for result in results] == [LATE, None, LATE, None]
        assert started == [0, 6, 8, 14]
        assert [result.execution_time for result in results] == [6, 2, 6, 3]
        assert probe.cleaned == [10, 1, 20, 2]
        assert probe.peak == 1

    async def test_have_run_before_the_next_try(self) -> None:
        probe = Probe()
        await outcome(FunctionNode(probe).pipe(timeout(5), retry(2, wait=1)), {"item": 10})
        assert (probe.peak, probe.cleaned) == (1, [10, 10])
        assert now() == 2 * (5 + CLEAN_UP) + 1

    async def test_that_raise_change_nothing(self) -> None:
        async def work(_: Any) -> None:
            try:
                await asyncio.sleep(100)
            finally:
                raise ValueError("in the clean-up")

        result = await outcome(FunctionNode(work).pipe(timeout(5)), {"item": 0})
        assert result.error == LATE


class TestTheNode:
    async def test_that_swallows_the_cancel_fails_when_it_ends(self) -> None:
        async def stubborn(_: Any) -> str:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                await asyncio.sleep(3)
            return "after all"

        result = await outcome(FunctionNode(stubborn).pipe(timeout(5)), {"item": 0})
        assert (result.success, result.output, result.error) == (False, None, LATE)
        assert now() == 8

    async def test_that_swallows_the_cancel_is_followed_by_the_next_item(self) -> None:
        async def stubborn(seconds: float) -> float:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                await asyncio.sleep(3)
            return seconds

        node = FunctionNode(stubborn).pipe(timeout(5))
        results = await BatchProcessor(node, 1).batch([100, 1])
        assert [result.error for result in results] == [LATE, None]
        assert now() == 9

    async def test_that_swallows_the_cancel_does_not_make_the_next_item_look_cancelled(
        self,
    ) -> None:
        async def work(seconds: float) -> None:
            if not seconds:
                raise asyncio.CancelledError("out of nowhere")
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(seconds)

        node = FunctionNode(work).pipe(timeout(5))
        results = await BatchProcessor(node, 1).batch([100, 0, 1])
        assert [result.error for result in results] == [
            LATE,
            "CancelledError: out of nowhere",
            None,
        ]

    async def test_tells_its_own_timeout_as_it_is(self) -> None:
        error = TimeoutError("the server gave up")

        def fail(_: Any) -> None:
            raise error

        result = await outcome(FunctionNode(fail).pipe(timeout(5)), {"item": 0})
        assert result.error == "TimeoutError: the server gave up"
        assert result.exception is error

    async def test_may_have_a_shorter_timeout_inside(self) -> None:
        async def work(_: Any) -> None:
            async with asyncio.timeout(2):
                await asyncio.sleep(100)

        result = await outcome(FunctionNode(work).pipe(timeout(5)), {"item": 0})
        assert (result.error, now()) == ("TimeoutError", 2)

    async def test_may_have_a_longer_timeout_inside(self) -> None:
        async def work(_: Any) -> None:
            async with asyncio.timeout(20):
                await asyncio.sleep(100)

        result = await outcome(FunctionNode(work).pipe(timeout(5)), {"item": 0})
        assert (result.error, now()) == (LATE, 5)

    async def test_may_be_a_list_stage(self) -> None:
        probe = Probe()
        node = MapNode("map", probe, max_concurrency=2).pipe(timeout(5))
        result = await outcome(node, {"items": [1, 10, 20]})
        assert (result.error, now()) == (LATE, 5 + CLEAN_UP)
        assert sorted(probe.cleaned) == [1, 10, 20]
        assert_only_the_caller_runs()

    async def test_inside_a_list_stage_fails_by_itself(self) -> None:
        child = FunctionNode(slowly).pipe(timeout(5))
        result = await outcome(MapNode("map", child, continue_on_error=True), {"items": [1, 9, 2]})
        assert result.output == {"results": [1, 2]}
        assert result.metadata["errors"] == [{"index": 1, "error": LATE}]


class TestACancelDuringTheCleanUp:
    """The timeout has gone off at 5, the ``finally`` block ends at 6, and the cancel comes between.

    The timeout takes its own cancel back. The other one must not be lost with it: the node would
    be tried again.
    """

    CANCELLED_AT = 5.5

    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_of_a_batch(self, isolate: Any) -> None:
        probe = Probe()
        node = FunctionNode(probe)
        node.isolate = isolate
        processor = BatchProcessor(node.pipe(timeout(5), retry(4, wait=50)), 2)
        task = asyncio.create_task(processor.batch([10, 20, 30]))
        await asyncio.sleep(self.CANCELLED_AT)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert now() == 5 + CLEAN_UP
        assert sorted(probe.cleaned) == [10, 20]
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_of_an_iterator(self, isolate: Any) -> None:
        probe = Probe()
        node = FunctionNode(probe)
        node.isolate = isolate
        processor = BatchProcessor(node.pipe(timeout(5), retry(4, wait=50)), 2)
        async with processor.batch_as_completed([1, 20]) as results:
            await anext(results)
            await asyncio.sleep(self.CANCELLED_AT - now())
        assert now() == 5 + CLEAN_UP
        assert probe.cleaned == [1, 20]
        assert_only_the_caller_runs()

    async def test_of_the_loser_of_a_race(self) -> None:
        probe = Probe()
        loser = FunctionNode(probe, "loser").pipe(timeout(5), retry(4, wait=50))
        winner = FunctionNode(lambda _: asyncio.sleep(self.CANCELLED_AT), "winner")
        race = ParallelNode([loser, winner], ParallelStrategy.RACE)
        result = await outcome(race, {"item": 10})
        assert result.metadata["winner"] == "winner"
        assert now() == 5 + CLEAN_UP
        assert probe.cleaned == [10]
        assert_only_the_caller_runs()

    async def test_of_a_node_by_itself_breaks_the_clean_up_off(self) -> None:
        # As anywhere in asyncio: it is the caller's own task that is cancelled a second time.
        probe = Probe()
        task = asyncio.create_task(FunctionNode(probe).pipe(timeout(5), retry(4)).run(10))
        await asyncio.sleep(self.CANCELLED_AT)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert now() == self.CANCELLED_AT

    async def test_at_the_moment_at_which_the_timeout_goes_off(self) -> None:
        for turns in range(6):
            started = now()
            probe = Probe()
            processor = BatchProcessor(FunctionNode(probe).pipe(timeout(5), retry(4, wait=50)), 1)
            task = asyncio.create_task(processor.batch([10]))
            await asyncio.sleep(5)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            assert isinstance(await raised_by(task), asyncio.CancelledError)
            assert now() == pytest.approx(started + 5 + CLEAN_UP)
            assert probe.cleaned == [10]


class TestACleanUpDuringWhichTheLimitPasses:
    """The cancel comes at 4.5, the ``finally`` block would end at 5.5."""

    async def test_of_a_batch_goes_on(self) -> None:
        probe = Probe()
        task = asyncio.create_task(BatchProcessor(FunctionNode(probe).pipe(timeout(5))).batch([10]))
        await asyncio.sleep(5 - CLEAN_UP / 2)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert (now(), probe.cleaned) == (5 + CLEAN_UP / 2, [10])

    @pytest.mark.parametrize("is_ours", [False, True])
    async def test_of_a_node_by_itself_is_broken_off_as_by_the_limit_of_asyncio(
        self, is_ours: bool
    ) -> None:
        probe = Probe()

        async def within_the_limit_of_asyncio() -> None:
            async with asyncio.timeout(5):
                await probe(10)

        ours = FunctionNode(probe).pipe(timeout(5)).run
        task = asyncio.create_task(ours(10) if is_ours else within_the_limit_of_asyncio())
        await asyncio.sleep(5 - CLEAN_UP / 2)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert (now(), probe.cleaned) == (5, [])
