"""What held up a run is said in words."""

from __future__ import annotations

from typing import Any

from nadoo_flow import MapNode, Trace

from ..hostile_texts import texts, traced
from ..stand_ins import slowly


async def test_it_is_the_stage_whose_slots_are_busy() -> None:
    chain = MapNode("quick", lambda x: slowly(1), "a", "b", 4) | MapNode(
        "slow", lambda x: slowly(3), "b", "c", 2
    )
    timeline = (await traced(chain, range(40))).timeline()
    assert timeline.bottleneck == (
        "Bottleneck: 'slow'. Its 2 slots were at work 98% of the time, "
        "those of the other stages at most 16%."
    )
    assert timeline.bottleneck in texts(timeline.svg)


async def test_a_stage_by_itself_can_be_one() -> None:
    timeline = (await traced(MapNode("map", slowly, max_concurrency=1), [1, 1])).timeline()
    assert timeline.bottleneck == "Bottleneck: 'map'. Its 1 slot was at work 100% of the time."


async def test_a_few_slow_items_at_the_end_are_told_apart() -> None:
    timeline = (await traced(MapNode("map", slowly, max_concurrency=2), [1, 1, 9])).timeline()
    assert timeline.bottleneck == (
        "No stage was a bottleneck: 'map', the busiest, was at work 55% of the time. "
        "For 90% of it, at the end, nothing was left to start."
    )


async def test_slow_inputs_are_told_apart() -> None:
    async def inputs() -> Any:
        for _ in range(20):
            await slowly(1)
            yield 0.5

    trace = Trace()
    async for _ in MapNode("map", slowly, max_concurrency=2).stream(inputs(), trace=trace):
        pass
    assert trace.timeline().bottleneck == (
        "No stage was a bottleneck: 'map', the busiest, was at work 26% of the time. "
        "It waited for inputs, or for results to be taken."
    )


def test_there_is_none_where_nothing_was_recorded() -> None:
    assert Trace().timeline().bottleneck == "Nothing was recorded."
    assert texts(Trace().timeline().svg) == ["nothing was recorded"]
