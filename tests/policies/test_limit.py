"""limit: one limit shared by nodes, nestings and runs; the peak is exact and nothing deadlocks."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ParallelNode,
    ParallelStrategy,
    Pipeline,
    WorkflowContext,
)
from nadoo_flow.policies import fallback, limit, retry, timeout
from nadoo_flow.testing import VirtualTimeLoop

from ..stand_ins import assert_only_the_caller_runs, now, raised_by, slowly
from ..streams.runs import in_virtual_time
from ..threads import in_loops
from .services import outcome


class Gauge:
    """A policy that counts how many executions of its nodes run at the same time."""

    def __init__(self) -> None:
        self.running = 0
        self.peak = 0
        self.started = 0

    def __call__(self, node: BaseNode) -> BaseNode:
        return _Measured(node, self)


class _Measured(BaseNode):
    def __init__(self, node: BaseNode, gauge: Gauge) -> None:
        super().__init__(node.node_id)
        self.node = node
        self.gauge = gauge
        self.isolate = node.isolate

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        gauge = self.gauge
        gauge.running += 1
        gauge.started += 1
        gauge.peak = max(gauge.peak, gauge.running)
        try:
            return await self.node.execute(node_context, workflow_context)
        finally:
            gauge.running -= 1


def leaf(isolate: Any = "context") -> FunctionNode:
    node = FunctionNode(slowly, "leaf")
    node.isolate = isolate
    return node


LEVELS = ("leaf", "inner", "outer")
EVERY_CHOICE = [chosen for size in (1, 2, 3) for chosen in combinations(LEVELS, size)]


class Nest:
    """A MapNode in a MapNode, limited at some of its levels; the innermost of them is measured."""

    def __init__(
        self,
        shared: ConcurrencyLimit,
        levels: tuple[str, ...],
        isolate: Any = "context",
        max_concurrency: int = 4,
    ) -> None:
        self.gauge = Gauge()
        self._shared = shared
        self._levels = levels
        made = self._limited("leaf", leaf(isolate))
        made = self._limited("inner", MapNode("inner", made, max_concurrency=max_concurrency))
        self.node = self._limited("outer", MapNode("outer", made, max_concurrency=max_concurrency))

    def _limited(self, level: str, node: BaseNode) -> BaseNode:
        if level == self._levels[0]:
            node = node.pipe(self.gauge)
        return node.pipe(limit(self._shared)) if level in self._levels else node


# Latencies that keep the lanes out of step.
DATA = {"items": [{"items": [1, 2.5, 0.5, 3]}, {"items": [2]}, {"items": []}, {"items": [1] * 6}]}
LEAVES = 11


class TestNesting:
    @pytest.mark.parametrize("isolate", ["context", "task"])
    @pytest.mark.parametrize("levels", EVERY_CHOICE, ids="+".join)
    async def test_in_three_simultaneous_batches_reaches_the_limit_and_never_exceeds_it(
        self, levels: tuple[str, ...], isolate: Any
    ) -> None:
        shared = ConcurrencyLimit(5)
        nest = Nest(shared, levels, isolate)
        batches = await asyncio.gather(
            *(BatchProcessor(nest.node, 3).batch([DATA] * 4) for _ in range(3))
        )
        assert nest.gauge.peak == 5
        assert (shared.in_use, nest.gauge.running) == (0, 0)
        assert all(result.success for results in batches for result in results)
        if levels[0] == "leaf":
            assert nest.gauge.started == 3 * 4 * LEAVES
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("levels", EVERY_CHOICE, ids="+".join)
    async def test_with_a_limit_of_one_runs_one_after_the_other(
        self, levels: tuple[str, ...]
    ) -> None:
        shared = ConcurrencyLimit(1)
        nest = Nest(shared, levels, max_concurrency=1)
        await asyncio.gather(*(BatchProcessor(nest.node, 2).batch([DATA] * 2) for _ in range(2)))
        # 15 seconds of work in each of the four.
        assert (nest.gauge.peak, now()) == (1, 60)
        assert shared.in_use == 0

    @pytest.mark.parametrize("levels", EVERY_CHOICE, ids="+".join)
    async def test_wastes_no_permit_while_there_is_work(self, levels: tuple[str, ...]) -> None:
        shared = ConcurrencyLimit(5)
        nest = Nest(shared, levels)
        data = {"items": [{"items": [1] * 20}] * 20}
        await asyncio.gather(*(BatchProcessor(nest.node, 3).batch([data]) for _ in range(3)))
        if levels[0] == "leaf":
            assert now() == 3 * 20 * 20 / 5
        assert nest.gauge.peak == min(5, {"outer": 3}.get(levels[0], 5))

    async def test_directly_in_itself(self) -> None:
        shared, gauge = ConcurrencyLimit(2), Gauge()
        node = leaf().pipe(gauge, limit(shared), limit(shared), limit(shared))
        await BatchProcessor(node).batch([1] * 10)
        assert (gauge.peak, now(), shared.in_use) == (2, 5, 0)

    @pytest.mark.parametrize("strategy", ParallelStrategy)
    async def test_in_parallel_nodes(self, strategy: ParallelStrategy) -> None:
        shared, gauge = ConcurrencyLimit(3), Gauge()
        limited = leaf().pipe(gauge, limit(shared))
        both = ParallelNode([FunctionNode(limited.run, "a"), FunctionNode(limited.run, "b")])
        more = ParallelNode([both.pipe(limit(shared)), FunctionNode(both.run, "c")], strategy)
        results = await BatchProcessor(more.pipe(limit(shared))).batch([1, 2, 3] * 5)
        assert all(result.success for result in results)
        assert (gauge.peak, shared.in_use) == (3, 0)

    async def test_of_a_pipeline_one_node_of_which_has_the_same_limit(self) -> None:
        shared, gauge = ConcurrencyLimit(3), Gauge()
        limited, bare = leaf().pipe(gauge, limit(shared)), leaf().pipe(gauge)
        # The bare ones work with the permit of the pipeline, which has it back in time.
        pipeline = Pipeline(bare, limited, bare, node_id="pipeline").pipe(limit(shared))
        await asyncio.gather(*(BatchProcessor(pipeline).batch([1] * 6) for _ in range(3)))
        assert gauge.peak == 3
        assert now() == 3 * 6 * 3 / 3
        assert shared.in_use == 0

    async def test_of_a_fallback_behind_a_timeout(self) -> None:
        shared, gauge = ConcurrencyLimit(2), Gauge()
        slow, other = leaf().pipe(gauge), FunctionNode(lambda _: slowly(3), "other").pipe(gauge)
        node = slow.pipe(limit(shared), timeout(1), fallback(other), limit(shared))
        results = await BatchProcessor(node, 10).batch([9] * 10)
        assert [result.output for result in results] == [3] * 10
        assert gauge.peak == 2
        assert shared.in_use == 0

    async def test_of_work_that_the_node_left_behind(self) -> None:
        shared, gauge = ConcurrencyLimit(1), Gauge()
        limited = leaf().pipe(gauge, limit(shared))
        left: list[asyncio.Task[Any]] = []

        async def leave(_: Any) -> None:
            left.extend(asyncio.create_task(limited.run(2)) for _ in range(3))
            await asyncio.sleep(1)

        node = FunctionNode(leave).pipe(limit(shared))
        await node.run(0)
        assert now() == 1
        await asyncio.gather(limited.run(2), *left)
        assert (gauge.peak, shared.in_use, now()) == (1, 0, 8)

    async def test_of_work_that_the_node_left_behind_to_begin_later(self) -> None:
        shared, gauge = ConcurrencyLimit(1), Gauge()
        limited = leaf().pipe(gauge, limit(shared))
        left: list[asyncio.Task[Any]] = []

        async def later() -> None:
            await asyncio.sleep(2)
            await limited.run(2)

        async def leave(_: Any) -> None:
            left.extend(asyncio.create_task(later()) for _ in range(2))

        await FunctionNode(leave).pipe(limit(shared)).run(0)
        await asyncio.gather(limited.run(3), *left)
        assert (gauge.peak, shared.in_use, now()) == (1, 0, 7)


class TestTwoLimits:
    async def test_each_have_their_peak(self) -> None:
        wide, narrow, all_leaves, some = ConcurrencyLimit(5), ConcurrencyLimit(2), Gauge(), Gauge()
        one = leaf().pipe(all_leaves, limit(wide))
        other = leaf().pipe(some, all_leaves, limit(narrow), limit(wide))
        await asyncio.gather(
            BatchProcessor(one).batch([1, 2, 3] * 10), BatchProcessor(other).batch([1, 2] * 10)
        )
        assert (all_leaves.peak, some.peak) == (5, 2)
        assert (wide.in_use, narrow.in_use) == (0, 0)

    @pytest.mark.parametrize("size", [1, 2, 3])
    async def test_one_inside_and_outside_of_the_other_do_not_deadlock(self, size: int) -> None:
        around, between, gauge = ConcurrencyLimit(size), ConcurrencyLimit(1), Gauge()
        node = leaf().pipe(gauge, limit(around), limit(between), limit(around))
        results = await BatchProcessor(MapNode("map", node).pipe(limit(around)), 5).batch(
            [{"items": [1] * 4}] * 5
        )
        assert all(result.success for result in results)
        assert (gauge.peak, now()) == (1, 20)
        assert (around.in_use, between.in_use) == (0, 0)


class TestPermits:
    async def test_are_handed_out_in_the_order_in_which_they_are_asked_for(self) -> None:
        shared = ConcurrencyLimit(2)
        order: list[int] = []

        async def work(item: int) -> None:
            order.append(item)
            await asyncio.sleep(item % 3)

        node = FunctionNode(work).pipe(limit(shared))
        await asyncio.gather(*(node.run(n) for n in range(30)))
        assert order == list(range(30))

    async def test_rule_r15_are_taken_by_an_override_of_acquire_on_the_instance_too(self) -> None:
        shared = ConcurrencyLimit(2)
        inherited, calls = shared.acquire, []

        async def acquire() -> None:
            calls.append(shared.in_use)
            await inherited()

        shared.acquire = acquire  # type: ignore[method-assign]
        await FunctionNode(str).pipe(limit(shared)).run(1)
        assert (calls, shared.in_use) == ([0], 0)

    async def test_rule_r15_are_as_many_as_an_override_of_size_says(self) -> None:
        class Halved(ConcurrencyLimit):
            @property
            def size(self) -> int:
                return self._size // 2

        shared, gauge = Halved(4), Gauge()
        await BatchProcessor(leaf().pipe(gauge, limit(shared))).batch([1] * 6)
        assert (gauge.peak, now(), shared.in_use) == (2, 3, 0)

    async def test_are_counted(self) -> None:
        shared = ConcurrencyLimit(3)
        assert (shared.size, shared.in_use) == (3, 0)
        task = asyncio.create_task(BatchProcessor(leaf().pipe(limit(shared))).batch([1, 3, 5, 5]))
        counts = []
        for _ in range(4):
            await asyncio.sleep(1.4)
            counts.append(shared.in_use)
        await task
        assert counts == [3, 3, 2, 1]
        assert repr(shared) == "ConcurrencyLimit(3, in_use=0)"

    async def test_are_not_lost_to_a_caller_that_is_closed_in_the_queue(self) -> None:
        shared = ConcurrencyLimit(1)
        await shared.acquire()
        waiting, handed_over = shared.acquire(), shared.acquire()
        for caller in (waiting, handed_over):
            caller.send(None)
        waiting.close()
        shared.release()
        assert (shared.in_use, shared.waiting) == (1, 0)
        handed_over.close()
        assert (shared.in_use, shared.waiting) == (0, 0)

    async def test_are_not_given_back_that_were_not_taken(self) -> None:
        shared = ConcurrencyLimit(2)
        with pytest.raises(RuntimeError, match=r"release\(\) .*none is in use"):
            shared.release()
        await shared.acquire()
        shared.release()
        with pytest.raises(RuntimeError, match=r"release\(\) .*none is in use"):
            shared.release()
        assert shared.in_use == 0

    async def test_are_not_lost_to_a_nested_caller_that_is_closed_in_the_queue(self) -> None:
        shared = ConcurrencyLimit(1)
        call_leaf, _ = leaf().pipe(limit(shared))._bind(WorkflowContext())

        async def nest(data: Any) -> tuple[int, int]:
            works = asyncio.create_task(call_leaf(1))
            await asyncio.sleep(0.5)
            waiting, handed_over = call_leaf(1), call_leaf(1)
            for caller in (waiting, handed_over):
                caller.send(None)
            waiting.close()
            await works
            counts = shared.in_use, shared.waiting
            handed_over.close()
            return counts

        assert await FunctionNode(nest).pipe(limit(shared)).run({}) == (1, 0)
        assert (shared.in_use, shared.waiting) == (0, 0)

    def test_that_a_closed_loop_had_handed_over_are_not_given_back_to_another_one(self) -> None:
        shared = ConcurrencyLimit(1)
        left: list[Any] = []

        async def leave_in_the_queue() -> None:
            await shared.acquire()
            left.append(shared.acquire())
            left[0].send(None)
            shared.release()

        async def close_what_is_left() -> int:
            await shared.acquire()
            left[0].close()
            return shared.in_use

        in_virtual_time(leave_in_the_queue)
        assert in_virtual_time(close_what_is_left) == 1

    async def test_come_back_from_failures(self) -> None:
        shared = ConcurrencyLimit(2)

        async def fail(seconds: float) -> None:
            await asyncio.sleep(seconds)
            raise ValueError("no")

        node = FunctionNode(fail).pipe(limit(shared))
        results = await BatchProcessor(node).batch([1] * 10)
        assert {result.error for result in results} == {"ValueError: no"}
        assert (now(), shared.in_use) == (5, 0)

    async def test_come_back_from_what_is_fatal(self) -> None:
        shared = ConcurrencyLimit(2)

        async def fail(seconds: float) -> None:
            await asyncio.sleep(seconds)
            raise KeyboardInterrupt

        node = FunctionNode(fail).pipe(limit(shared))
        assert isinstance(await raised_by(BatchProcessor(node).batch([1] * 5)), KeyboardInterrupt)
        assert shared.in_use == 0
        assert_only_the_caller_runs()

    async def test_are_free_while_a_retry_outside_waits(self) -> None:
        shared = ConcurrencyLimit(1)
        times: list[float] = []

        async def fail(_: Any) -> None:
            times.append(now())
            raise ValueError("no")

        node = FunctionNode(fail).pipe(limit(shared), retry(2, wait=10))
        task = asyncio.create_task(BatchProcessor(node).batch([0]))
        await asyncio.sleep(1)
        await leaf().pipe(limit(shared)).run(3)
        assert now() == 4
        await task
        assert times == [0, 10]


@asynccontextmanager
async def full(shared: ConcurrencyLimit, seconds: float) -> AsyncIterator[None]:
    """Have all permits taken for so many seconds."""
    node = leaf().pipe(limit(shared))
    tasks = [asyncio.create_task(node.run(seconds)) for _ in range(shared.size)]
    await asyncio.sleep(0)
    yield
    await asyncio.gather(*tasks)


async def _after(seconds: float, limited: BaseNode) -> None:
    await asyncio.sleep(seconds)
    await limited.run(1)


class TestACancel:
    async def test_while_waiting_is_prompt_and_takes_no_permit(self) -> None:
        shared = ConcurrencyLimit(2)
        async with full(shared, 100):
            waiting = asyncio.create_task(
                BatchProcessor(leaf().pipe(limit(shared)), 5).batch([1] * 10)
            )
            following = asyncio.create_task(leaf().pipe(limit(shared)).run(1))
            await asyncio.sleep(2)
            waiting.cancel()
            assert isinstance(await raised_by(waiting), asyncio.CancelledError)
            assert (now(), shared.in_use) == (2, 2)
        await following
        assert (now(), shared.in_use) == (101, 0)

    @pytest.mark.parametrize("turns", range(5))
    async def test_around_the_moment_of_the_handing_over_loses_no_permit(self, turns: int) -> None:
        shared = ConcurrencyLimit(1)
        may_end = asyncio.Event()
        node = leaf().pipe(limit(shared))
        holding = asyncio.create_task(
            FunctionNode(lambda _: may_end.wait()).pipe(limit(shared)).run(0)
        )
        waiting, following = (asyncio.create_task(node.run(seconds)) for seconds in (3, 5))
        await asyncio.sleep(1)
        may_end.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        assert isinstance(await raised_by(waiting), asyncio.CancelledError)
        assert await following == 5
        assert (now(), shared.in_use) == (6, 0)
        await holding

    @pytest.mark.parametrize("cancelled", [[1], [2], [1, 2], [3], [1, 2, 3]], ids=str)
    @pytest.mark.parametrize("turns", [-1, *range(5)])
    async def test_of_some_inside_a_holder_leaves_the_permit_to_the_others(
        self, turns: int, cancelled: list[int]
    ) -> None:
        """The first of four has the holder's permit, and passes it on a second later."""
        shared, gauge = ConcurrencyLimit(1), Gauge()
        limited = leaf().pipe(gauge, limit(shared))

        async def hold(_: Any) -> list[Any]:
            tasks = [asyncio.create_task(limited.run(1)) for _ in range(4)]
            # With -1 turns the others are cancelled while the first still works.
            await asyncio.sleep(1 if turns >= 0 else 0.5)
            for _ in range(turns):
                await asyncio.sleep(0)
            for n in cancelled:
                tasks[n].cancel()
            await asyncio.wait(tasks)
            # The permit is the holder's own again.
            await leaf().pipe(gauge).run(1)
            return [task.cancelled() for task in tasks]

        holder = FunctionNode(hold, "holder").pipe(limit(shared))
        waiting = asyncio.create_task(_after(0.1, limited))
        assert await holder.run(0) == [n in cancelled for n in range(4)]
        assert (gauge.peak, now()) == (1, 5 - len(cancelled))
        await waiting
        assert (gauge.peak, now(), shared.in_use) == (1, 6 - len(cancelled), 0)

    @pytest.mark.parametrize("levels", EVERY_CHOICE, ids="+".join)
    async def test_of_nested_runs_does_not_wait_for_others(self, levels: tuple[str, ...]) -> None:
        shared = ConcurrencyLimit(2)
        nest = Nest(shared, levels)
        data = {"items": [{"items": [10] * 4}] * 4}
        task = asyncio.create_task(BatchProcessor(nest.node, 2).batch([data] * 4))
        await asyncio.sleep(1)
        others = asyncio.create_task(BatchProcessor(leaf().pipe(limit(shared)), 5).batch([100] * 5))
        await asyncio.sleep(1)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert now() == 2
        await others
        assert (now(), shared.in_use) == (302, 0)

    async def test_by_a_timeout_around_a_nesting_is_in_time(self) -> None:
        shared = ConcurrencyLimit(1)
        node = MapNode("map", leaf().pipe(limit(shared))).pipe(limit(shared), timeout(5))
        task = asyncio.create_task(outcome(node, {"items": [10, 10]}))
        await asyncio.sleep(1)
        others = [asyncio.create_task(leaf().pipe(limit(shared)).run(100)) for _ in range(3)]
        assert (await task).error == "TimeoutError: not finished within 5 s"
        assert now() == 5
        await asyncio.gather(*others)
        assert (now(), shared.in_use) == (305, 0)

    @pytest.mark.slow
    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_anywhere_in_any_nesting_leaves_nothing_held(self, data: st.DataObject) -> None:
        shared, second, gauge = (
            ConcurrencyLimit(data.draw(st.integers(1, 4), "size")),
            ConcurrencyLimit(data.draw(st.integers(1, 3), "second size")),
            Gauge(),
        )
        policies = st.lists(
            st.sampled_from(
                [limit(shared), limit(second), timeout(0.7), timeout(2.5), retry(2, wait=0.5)]
            ),
            max_size=4,
        )
        lanes = st.integers(1, 5)
        node = leaf().pipe(gauge, limit(shared), *data.draw(policies, "leaf"))
        node = MapNode("inner", node, max_concurrency=data.draw(lanes)).pipe(
            *data.draw(policies, "inner")
        )
        node = MapNode("outer", node, max_concurrency=data.draw(lanes)).pipe(
            *data.draw(policies, "outer")
        )
        cancelled_at = data.draw(st.integers(0, 20), "cancelled at") / 4

        async def main() -> None:
            tasks = [
                asyncio.create_task(BatchProcessor(node, 2).batch([DATA] * 2)) for _ in range(3)
            ]
            await asyncio.sleep(cancelled_at)
            tasks[0].cancel()
            await asyncio.wait(tasks[:1])
            assert now() == cancelled_at
            await asyncio.gather(*tasks[1:])
            assert gauge.peak <= shared.size
            assert (shared.in_use, second.in_use, gauge.running) == (0, 0, 0)
            assert_only_the_caller_runs()

        in_virtual_time(main)


WRONG_LOOP = "RuntimeError: the limit is in use on another event loop; make one for each loop"


class TestEventLoops:
    def test_may_follow_each_other(self) -> None:
        shared, gauge = ConcurrencyLimit(2), Gauge()
        node = leaf().pipe(gauge, limit(shared))
        for _ in range(3):
            in_virtual_time(lambda: BatchProcessor(node).batch([1] * 6))
        assert (gauge.peak, gauge.started, shared.in_use) == (2, 18, 0)

    def test_at_the_same_time_are_an_error(self) -> None:
        shared = ConcurrencyLimit(2)
        node = leaf().pipe(limit(shared))
        first = VirtualTimeLoop()
        task = first.create_task(BatchProcessor(node).batch([10]))
        first.run_until_complete(asyncio.sleep(1))
        (result,) = in_virtual_time(lambda: BatchProcessor(node).batch([1]))
        assert result.error == WRONG_LOOP
        # The first is not disturbed, and the second may use it when the first is done.
        (result,) = first.run_until_complete(task)
        assert (result.success, shared.in_use) == (True, 0)
        first.close()
        (result,) = in_virtual_time(lambda: BatchProcessor(node).batch([1]))
        assert (result.success, shared.in_use) == (True, 0)

    def test_rule_r20_in_several_threads_never_hold_permits_together(self) -> None:
        shared = [ConcurrencyLimit(2) for _ in range(20)]
        holders: list[list[asyncio.AbstractEventLoop]] = [[] for _ in shared]
        refusals: set[str] = set()

        async def hold(number: int) -> None:
            loop = asyncio.get_running_loop()
            try:
                await shared[number].acquire()
            except RuntimeError as error:
                refusals.add(f"RuntimeError: {error}")
                return
            holders[number].append(loop)
            assert set(holders[number]) == {loop}
            await asyncio.sleep(0)
            holders[number].remove(loop)
            shared[number].release()

        async def use(number: int) -> None:
            await asyncio.gather(*(hold(number) for _ in range(5)))

        in_loops(4, 20, use)
        assert refusals == {WRONG_LOOP}
        assert {one.in_use for one in shared} == {0}

    def test_that_were_closed_in_the_middle_are_forgotten(self) -> None:
        shared, gauge = ConcurrencyLimit(2), Gauge()
        node = leaf().pipe(gauge, limit(shared))
        first = VirtualTimeLoop()
        first.set_exception_handler(lambda *_: None)
        # Not a batch: only this node's own coroutines are left to the garbage collector.
        running = [node.run(10) for _ in range(4)]
        tasks = [first.create_task(work) for work in running]
        first.run_until_complete(asyncio.sleep(1))
        first.close()
        assert shared.in_use == 2

        async def second() -> None:
            gauge.running = gauge.peak = 0
            batch = asyncio.create_task(BatchProcessor(node).batch([1] * 6))
            await asyncio.sleep(0.5)
            # What the collector finds gives nothing back that is not its own.
            tasks.clear()
            running.clear()
            gc.collect()
            assert shared.in_use == 2
            await batch
            assert (now(), gauge.peak, shared.in_use) == (3, 2, 0)

        in_virtual_time(second)
