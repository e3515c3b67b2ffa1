"""What several threads may share, each with an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode, Trace
from nadoo_flow.executors import on
from nadoo_flow.policies import rate_limit, retry, timeout
from nadoo_flow.stages.stage import ListStage
from nadoo_flow.streams.turn import LoopTurn

from ..stand_ins import double
from ..threads import in_loops


@pytest.mark.parametrize(
    "make",
    [lambda: BatchProcessor(double), lambda: MapNode("m", double, "a", "b")],
    ids=["processor", "stage"],
)
def test_rule_r20_threads_subscribe_to_the_same_events(
    make: Callable[[], BatchProcessor | ListStage],
) -> None:
    shared = [make() for _ in range(20)]

    async def subscribe(number: int) -> object:
        return shared[number].events

    for events in in_loops(4, 20, subscribe):
        assert len(set(events)) == 1


def test_rule_r20_each_loop_has_its_own_turn() -> None:
    async def turn(_: int) -> LoopTurn:
        loop = asyncio.get_running_loop()
        found = LoopTurn.of(loop)
        assert found._loop is loop
        await asyncio.sleep(0)
        assert LoopTurn.of(loop) is found
        return found

    for turns in in_loops(4, 20, turn):
        assert len(set(turns)) == 4


def test_rule_r20_a_whole_run_may_be_shared() -> None:
    with ThreadPoolExecutor(2) as pool:
        trace = Trace()
        node = FunctionNode(double).pipe(on(pool), timeout(60), retry(2), rate_limit(100_000))
        far = MapNode("far", node, "a", "b")
        chain = MapNode("twice", double, "a", "b") | FilterNode("some", bool, "b", "c")
        processor = BatchProcessor(chain, trace=trace)

        async def use(_: int) -> tuple[object, object]:
            (result,) = await processor.batch([{"a": [0, 1, 2]}])
            return await far.run({"a": [1, 2]}), result.output

        for answers in in_loops(3, 5, use):
            assert answers == [({"b": [2, 4]}, {"c": [2, 4]})] * 3
    assert len(trace.events) >= 3 * 5 * 2
