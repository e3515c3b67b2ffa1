"""rate_limit: no window, wherever it is laid, sees more starts than the rate."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import AsyncIterator, Iterable, Sequence
from fractions import Fraction
from typing import Any

import pytest
from aiolimiter import AsyncLimiter

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ParallelNode,
    WorkflowContext,
)
from nadoo_flow.nodes.node import Policy
from nadoo_flow.policies import rate_limit, retry
from nadoo_flow.testing import VirtualTimeLoop, advance

from ..stand_ins import assert_only_the_caller_runs, now, raised_by
from ..threads import in_loops
from .services import Flaky, outcome


class Starts(list[float]):
    """A function that keeps a record of when it was started, and takes a while."""

    def __init__(self, seconds: float = 0) -> None:
        super().__init__()
        self.seconds = seconds

    async def __call__(self, item: Any) -> Any:
        self.append(now())
        await asyncio.sleep(self.seconds)
        return item


def most_in_a_window(starts: Sequence[float], per: float) -> int:
    """Count the starts in the fullest window ``[t, t + per)``, without any rounding."""
    exact = sorted(map(Fraction, starts))
    most = first = 0
    for last, start in enumerate(exact):
        while exact[first] + Fraction(per) <= start:
            first += 1
        most = max(most, last - first + 1)
    return most


async def starts_of(policy: Policy, count: int, max_concurrency: int = 50) -> Starts:
    starts = Starts()
    node = FunctionNode(starts).pipe(policy)
    results = await BatchProcessor(node, max_concurrency).batch(range(count))
    assert [result.output for result in results] == list(range(count))
    return starts


class Leaky(BaseNode):
    """A node behind aiolimiter's own bucket, as one would write it without a policy."""

    def __init__(self, node: BaseNode, limiter: AsyncLimiter) -> None:
        super().__init__()
        self.node = node
        self.limiter = limiter

    async def execute(self, given: NodeContext, workflow_context: WorkflowContext) -> NodeResult:
        await self.limiter.acquire()
        return await self.node.execute(given, workflow_context)


RATES = [
    (1, 1.0),
    (3, 1.0),
    (10, 1.0),
    (10, 0.1),
    (7, 0.3),
    (100, 1.0),
    (1_000, 60.0),
    (500, 0.001),
    (2.5, 1.0),
    (7.5, 2.5),
    (1.0001, 3),
    (99.99, 0.7),
]


class TestTheStrictWindow:
    @pytest.mark.parametrize(("rate", "per"), RATES)
    async def test_holds_over_a_thousand_starts(self, rate: float, per: float) -> None:
        starts = await starts_of(rate_limit(rate, per), 1_000)
        assert most_in_a_window(starts, per) == math.floor(rate)
        # And no start is later than it has to be.
        assert starts[-1] == pytest.approx(999 * per / math.floor(rate))

    @pytest.mark.parametrize(("rate", "per"), [(0.5, 1.0), (0.1, 2.5), (1 / 3, 1.0)])
    async def test_of_less_than_one_start_is_one_start_in_a_longer_window(
        self, rate: float, per: float
    ) -> None:
        starts = await starts_of(rate_limit(rate, per), 1_000)
        assert most_in_a_window(starts, per / rate) == 1
        assert starts[-1] == pytest.approx(999 * per / rate)

    @pytest.mark.parametrize(("rate", "per"), [(10, 1.0), (100, 1.0), (7, 0.3)])
    async def test_does_not_hold_behind_a_plain_leaky_bucket(self, rate: int, per: float) -> None:
        limiter = AsyncLimiter(rate, per)
        starts = await starts_of(lambda node: Leaky(node, limiter), 1_000)
        assert most_in_a_window(starts, per) >= 2 * rate - 1

    async def test_holds_after_a_pause_too(self) -> None:
        starts = Starts()
        processor = BatchProcessor(FunctionNode(starts).pipe(rate_limit(10)), 50)
        for pause in (0, 0.05, 100, 0.31, 1):
            await asyncio.sleep(pause)
            await processor.batch(range(25))
        assert len(starts) == 125
        assert most_in_a_window(starts, 1) == 10

    async def test_holds_where_the_loop_is_late(self) -> None:
        starts = Starts()

        async def blocking(item: int) -> None:
            await starts(item)
            advance(0.001 * (item % 7) ** 4)

        await BatchProcessor(FunctionNode(blocking).pipe(rate_limit(10)), 50).batch(range(500))
        assert len(starts) == 500
        assert most_in_a_window(starts, 1) == 10

    async def test_lets_slow_executions_overlap(self) -> None:
        starts = Starts(seconds=30)
        await BatchProcessor(FunctionNode(starts).pipe(rate_limit(10)), 1_000).batch(range(100))
        assert now() == pytest.approx(9.9 + 30)

    async def test_lets_items_start_in_their_order(self) -> None:
        order: list[int] = []
        await BatchProcessor(FunctionNode(order.append).pipe(rate_limit(10)), 7).batch(range(50))
        assert order == list(range(50))

    async def test_does_not_delay_the_first_start(self) -> None:
        await asyncio.sleep(1_000_000)
        assert await starts_of(rate_limit(0.001), 1) == [1_000_000]


class TestSharing:
    async def test_over_nodes_and_simultaneous_runs_and_nestings(self) -> None:
        starts = Starts(seconds=0.7)
        policy = rate_limit(10)
        nodes = [FunctionNode(starts, name).pipe(policy) for name in "abc"]
        mapping = MapNode("map", nodes[2], max_concurrency=4)
        both = ParallelNode(nodes[:2])
        await asyncio.gather(
            BatchProcessor(nodes[0], 20).batch(range(100)),
            BatchProcessor(nodes[1], 3).batch(range(100)),
            BatchProcessor(mapping, 5).batch([{"items": range(10)}] * 10),
            BatchProcessor(both, 5).batch(range(50)),
            BatchProcessor(nodes[0] | nodes[1], 5).batch(range(50)),
        )
        assert len(starts) == 500
        assert most_in_a_window(starts, 1) == 10
        # While there was enough to do, no turn was left unused.
        assert starts[399] == pytest.approx(39.9)

    async def test_is_not_done_by_two_policy_objects(self) -> None:
        starts = Starts()
        nodes = [FunctionNode(starts).pipe(rate_limit(10)) for _ in range(2)]
        await asyncio.gather(*(BatchProcessor(node).batch(range(100)) for node in nodes))
        assert most_in_a_window(starts, 1) == 20

    async def test_the_stricter_of_two_decides(self) -> None:
        starts = Starts()
        node = FunctionNode(starts).pipe(rate_limit(10), rate_limit(50, per=10))
        await BatchProcessor(node, 100).batch(range(200))
        assert most_in_a_window(starts, 1) <= 10
        assert most_in_a_window(starts, 10) == 50

    async def test_each_try_takes_a_turn_if_the_retry_is_outside(self) -> None:
        flaky = Flaky()
        node = FunctionNode(flaky).pipe(rate_limit(1), retry(3, wait=0))
        await BatchProcessor(node).batch([{"name": n, "failures": 1} for n in "ab"])
        assert flaky.tries["a"] == pytest.approx([0, 2])
        assert flaky.tries["b"] == pytest.approx([1, 3])

    async def test_all_tries_take_one_turn_if_the_retry_is_inside(self) -> None:
        flaky = Flaky()
        node = FunctionNode(flaky).pipe(retry(3, wait=0), rate_limit(1))
        await BatchProcessor(node).batch([{"name": n, "failures": 1} for n in "ab"])
        assert flaky.tries["a"] == [0, 0]
        assert flaky.tries["b"] == pytest.approx([1, 1])


class TestACancelledWaiter:
    @pytest.mark.parametrize("cancelled", [[1], [4], [1, 2, 3], [2, 4], [0, 1, 2, 3, 4]])
    async def test_leaves_its_turn_to_the_next(self, cancelled: Iterable[int]) -> None:
        starts = Starts()
        node = FunctionNode(starts).pipe(rate_limit(1))
        await node.run(-1)
        tasks = [asyncio.create_task(node.run(n)) for n in range(5)]
        await asyncio.sleep(0.5)
        for n in cancelled:
            tasks[n].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [n for n in range(5) if isinstance(outcomes[n], asyncio.CancelledError)] == list(
            cancelled
        )
        assert starts == pytest.approx(range(1 + 5 - len(list(cancelled))))
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("turns", range(5))
    async def test_leaves_it_also_while_it_is_being_woken(self, turns: int) -> None:
        starts = Starts()
        node = FunctionNode(starts).pipe(rate_limit(1))
        await node.run(-1)
        tasks = [asyncio.create_task(node.run(n)) for n in range(3)]
        await asyncio.sleep(1 + 1e-8)
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[0].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes[1:] == [1, 2]
        # No turn was lost, whether the first of them had started or not.
        assert len(starts) in (3, 4)
        assert starts == pytest.approx(range(len(starts)))

    async def test_of_a_batch_leaves_no_task_and_no_turn_taken(self) -> None:
        starts = Starts(seconds=0.1)
        node = FunctionNode(starts).pipe(rate_limit(1))
        task = asyncio.create_task(BatchProcessor(node).batch(range(10)))
        await asyncio.sleep(2.5)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert_only_the_caller_runs()
        await node.run(0)
        assert starts == pytest.approx([0, 1, 2, 3])


class TestEventLoops:
    def test_may_follow_each_other(self, recwarn: pytest.WarningsRecorder) -> None:
        policy = rate_limit(10)
        for _ in range(3):
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                starts = runner.run(starts_of(policy, 50))
            assert starts == pytest.approx([n / 10 for n in range(50)])
        assert recwarn.list == []

    def test_that_ended_are_forgotten(self) -> None:
        policy = rate_limit(10)
        ended: list[weakref.ref[Any]] = []
        for _ in range(3):
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                runner.run(starts_of(policy, 5))
                ended.append(weakref.ref(runner.get_loop()))
        del runner
        gc.collect()
        assert [loop() is None for loop in ended] == [True, True, False]

    def test_may_alternate(self, recwarn: pytest.WarningsRecorder) -> None:
        policy = rate_limit(10)
        with (
            asyncio.Runner(loop_factory=VirtualTimeLoop) as first,
            asyncio.Runner(loop_factory=VirtualTimeLoop) as second,
        ):
            for runner in (first, second, first, second):
                starts = runner.run(starts_of(policy, 20))
                assert most_in_a_window(starts, 1) == 10
        assert recwarn.list == []

    def test_left_with_waiters_do_not_hinder_the_next(self) -> None:
        policy = rate_limit(1)

        async def abandon() -> None:
            tasks.append(asyncio.create_task(starts_of(policy, 10)))
            await asyncio.sleep(2.5)

        tasks: list[asyncio.Task[Any]] = []
        for _ in range(2):
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                runner.run(abandon())
        assert [task.cancelled() for task in tasks] == [True, True]
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            assert runner.run(starts_of(policy, 3)) == pytest.approx([0, 1, 2])


def test_rule_r20_threads_that_use_a_policy_for_the_first_time_have_a_limiter_each() -> None:
    nodes = [FunctionNode(lambda n: n, "same").pipe(rate_limit(25)) for _ in range(10)]

    async def gap(number: int) -> float:
        # Two limiters of one loop would let both start at once.
        started = asyncio.get_running_loop().time()
        await nodes[number].run(1)
        await nodes[number].run(2)
        return asyncio.get_running_loop().time() - started

    assert min(map(min, in_loops(4, 10, gap))) >= 0.04


class RateLimitedProcessor(BatchProcessor):
    """The one of the page that the library was asked for."""

    def __init__(self, node: Any, requests_per_second: int = 10) -> None:
        super().__init__(node=node, max_concurrency=requests_per_second)
        self.delay = 1.0 / requests_per_second

    async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
        for i, input_data in enumerate(inputs):
            if i > 0:
                await asyncio.sleep(self.delay)
            yield await self.process_single(input_data, i)


async def test_gives_what_the_rate_limited_processor_of_the_page_gives() -> None:
    starts = Starts(seconds=0.25)
    node = FunctionNode(lambda n: starts(12 // n), "api")
    inputs = [1, 2, 0, 4, 6]
    by_hand = await RateLimitedProcessor(node, 2).batch(inputs)
    took = now()
    ours = await BatchProcessor(node.pipe(rate_limit(2))).batch(inputs)
    for result in (*ours, *by_hand):
        result.execution_time = None  # ours includes the wait for a turn
    assert ours == by_hand
    # By hand each call waits for the one before to end.
    assert starts[:4] == [0, 0.75, 2, 2.75]
    assert [start - took for start in starts[4:]] == pytest.approx([0, 0.5, 1.5, 2])


async def test_a_failure_takes_a_turn_too() -> None:
    times: list[float] = []

    def fail(_: Any) -> None:
        times.append(now())
        raise ValueError("no")

    node = FunctionNode(fail).pipe(rate_limit(1))
    assert (await outcome(node, {"item": 0})).error == "ValueError: no"
    assert (await outcome(node, {"item": 0})).error == "ValueError: no"
    assert times == pytest.approx([0, 1])


def test_a_policy_shows_what_it_allows() -> None:
    assert repr(rate_limit(10)) == "rate_limit(10, per=1)"
    assert repr(rate_limit(2.5, per=60)) == "rate_limit(2.5, per=60)"
