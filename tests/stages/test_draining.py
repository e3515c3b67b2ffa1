"""Chains that are drained: what the first stage has started goes through all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops

from nadoo_flow import (
    ExpandNode,
    FilterNode,
    FlatMapNode,
    MapNode,
    NodeError,
    OperatorNode,
    ReduceNode,
    Valve,
    route,
)
from nadoo_flow.operators import flat_map

from ..stand_ins import assert_only_the_caller_runs, now, observed, raised_by

FAR = 1_000_000


async def slowly(item: Any) -> Any:
    await asyncio.sleep(1)
    return item


async def very_slowly(item: Any) -> Any:
    await asyncio.sleep(10)
    return item


async def take_all(iterator: Any, into: list[Any]) -> list[Any]:
    into += [item async for item in iterator]
    return into


def add(total: list[Any], item: Any) -> list[Any]:
    return [*total, item]


class Draining:
    """A stream that is drained at a time.

    Attributes:
        values: What it gave until its end.
        ended: When it ended.
        not_started: How many items were pulled and not started.
        cancelled: How many were cancelled.
    """

    def __init__(self, stage: Any, source: Any = None, **options: Any) -> None:
        self.iterator = stage.stream(range(FAR) if source is None else source, **options)
        self.values: list[Any] = []
        self.not_started = self.cancelled = 0

    async def drain(self, after: float, timeout_seconds: float | None = None) -> list[Any]:
        taking = asyncio.create_task(take_all(self.iterator, self.values))
        await asyncio.sleep(after)
        self.cancelled = await self.iterator.drain(timeout_seconds)
        await taking
        self.not_started = self.iterator._inbox.run.draining.not_started
        assert_only_the_caller_runs()
        return self.values


@pytest.mark.parametrize("ordered", [False, True])
async def test_rule_r52_stages_behind_the_first_finish_what_it_has_started(ordered: bool) -> None:
    chain = (
        MapNode("a", slowly, "x", "y", max_concurrency=3)
        | FilterNode("b", lambda item: item % 2 == 0, "y", "z")
        | MapNode("c", very_slowly, "z", "w", max_concurrency=1)
    )
    draining = Draining(chain, ordered=ordered, max_in_flight=20)
    values = await draining.drain(after=2.5)
    # Nine items were started in three seconds, and c takes those that are kept one by one.
    assert sorted(values) == [0, 2, 4, 6, 8]
    assert values == sorted(values) or not ordered
    assert now() == 1 + 5 * 10
    run = draining.iterator._inbox.run
    assert run.pulled - draining.not_started == 9


async def test_rule_r52_a_fold_gives_the_value_of_what_came() -> None:
    chain = MapNode("a", slowly, "x", "y", max_concurrency=2) | ReduceNode("r", add, [], "y", "z")
    assert await Draining(chain).drain(after=1.5) == [[0, 1, 2, 3]]
    only = ReduceNode("r", add, [], "y", "z")
    assert await Draining(only).drain(after=0) == [[]]


async def test_rule_r51_a_fold_gives_its_value_when_the_rest_is_cancelled() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(100 if item == 3 else 1)
        return item

    chain = MapNode("a", work, "x", "y", max_concurrency=2) | ReduceNode("r", add, [], "y", "z")
    draining = Draining(chain)
    assert await draining.drain(5.5, 0) == [[0, 1, 2]]
    assert now() == 5.5


async def test_rule_r52_operators_give_what_they_held() -> None:
    chain = (
        MapNode("a", slowly, "x", "y", max_concurrency=2)
        | OperatorNode(ops.buffer_with_count(3), input_key="y", output_key="z")
        | MapNode("b", slowly, "z", "w")
    )
    assert await Draining(chain).drain(after=1.5) == [[0, 1, 2], [3]]
    assert now() == 3


async def test_rule_r51_operators_that_never_end_are_ended() -> None:
    chain = (
        MapNode("a", slowly, "x", "y", max_concurrency=2)
        | OperatorNode(ops.merge(rx.never()), input_key="y", output_key="z")
        | ReduceNode("r", add, [], "z", "w")
    )
    draining = Draining(chain)
    assert await draining.drain(1.5, 5) == [[0, 1, 2, 3]]
    assert (now(), draining.cancelled) == (6.5, 0)


@pytest.mark.parametrize("ordered", [False, True])
async def test_rule_r52_an_item_in_work_gives_all_its_outputs(ordered: bool) -> None:
    async def outputs(item: int) -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(1)
            yield f"{item}.{number}"

    stage = FlatMapNode("f", outputs, max_concurrency=2)
    draining = Draining(stage, ordered=ordered)
    values = await draining.drain(after=1.5)
    assert sorted(values) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    assert values == sorted(values) or not ordered
    # In order, the second waits for a place until those that were pulled have left theirs.
    assert now() == (3.5 if ordered else 3)


@pytest.mark.parametrize("ordered", [False, True])
async def test_rule_r51_endless_outputs_are_cut_and_their_generators_closed(ordered: bool) -> None:
    closed: list[int] = []

    async def endless(item: int) -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(1)
                yield item
        finally:
            closed.append(item)

    stage = FlatMapNode("f", endless, max_concurrency=2)
    draining = Draining(stage, ordered=ordered)
    values = await draining.drain(1.5, 2)
    # In order, what the second gave waits for the end of the first.
    assert values == ([0, 0, 0, 1, 1] if ordered else [0, 1, 0, 1, 0, 1])
    assert (now(), sorted(closed), draining.cancelled) == (3.5, [0, 1], 2)


async def test_rule_r50_keys_let_nothing_go_that_waits_for_them() -> None:
    stage = MapNode("a", slowly, max_concurrency=3, key=lambda item: item % 2)
    draining = Draining(stage, ordered=True, max_in_flight=10)
    assert await draining.drain(after=0.5) == [0, 1]
    assert (now(), draining.not_started) == (1, 8)


async def test_rule_r52_outputs_are_not_held_back_by_an_item_that_its_key_held_back() -> None:
    async def twice(item: int) -> list[int]:
        await asyncio.sleep(1)
        return [item, item]

    # The first two have one key, and the third goes ahead of the second.
    keys = FlatMapNode("a", twice, max_concurrency=2, key=lambda item: item // 2)
    draining = Draining(keys, ordered=True, max_in_flight=10)
    assert await draining.drain(after=0.5) == [0, 0, 2, 2]


async def test_rule_r53_what_waits_for_the_key_of_another_that_waits_is_counted() -> None:
    async def twice(item: int) -> list[int]:
        await asyncio.sleep(1)
        return [item, item]

    behind = MapNode("b", lambda item: item, "i", "items") | FlatMapNode(
        "a", twice, max_concurrency=2, key=lambda item: item // 2
    )
    draining = Draining(behind, ordered=True, max_in_flight=10)
    values = await draining.drain(0.5, 1)
    assert values == [0, 0, 2, 2]
    # Item 0 has ended; item 2 waited for a place, to find out whether it had a third output.
    pulled = draining.iterator._inbox.run.pulled
    assert (pulled, draining.not_started, draining.cancelled) == (9, 0, 8)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("position", [0, 1])
async def test_rule_r52_nothing_more_is_expanded(ordered: bool, position: int) -> None:
    opened: list[str] = []

    async def links(page: str) -> AsyncIterator[str]:
        opened.append(page)
        for number in range(2):
            await asyncio.sleep(1)
            yield f"{page}{number}"

    stage: Any = ExpandNode("e", links, "y", "z", max_concurrency=2)
    if position:
        stage = MapNode("a", lambda page: page, "x", "y", max_concurrency=2) | stage
    draining = Draining(stage, list("abc"), ordered=ordered)
    values = await draining.drain(after=1.5)
    assert opened == ["a", "b"]
    # What comes out of a stage before it is a result; what comes from the source is not started.
    expected = {"a", "b", "a0", "a1", "b0", "b1"}
    assert set(values) - {"c"} == expected
    assert len(values) == len(set(values))
    assert now() == 2


async def test_rule_r51_an_expansion_is_cut() -> None:
    async def endless(page: str) -> AsyncIterator[str]:
        while True:
            await asyncio.sleep(1)
            yield f"{page}+"

    stage = ExpandNode("e", endless, max_concurrency=2)
    draining = Draining(stage, ["a"])
    assert await draining.drain(1.5, 1) == ["a", "a+", "a+", "a++"]
    # The first of these is in work as well.
    assert (now(), draining.cancelled) == (2.5, 2)


async def test_rule_r52_each_route_finishes_what_it_has_started() -> None:
    even = MapNode("even", slowly, "x", "y", max_concurrency=1)
    odd = MapNode("odd", very_slowly, "x", "y", max_concurrency=1)
    stage = route(lambda item: item % 2, {0: even, 1: odd}) | MapNode("b", slowly, "y", "z")
    draining = Draining(stage, max_in_flight=6)
    assert sorted(await draining.drain(after=1.5)) == [0, 1, 2]
    run = draining.iterator._inbox.run
    assert (now(), run.pulled - draining.not_started) == (11, 3)


async def test_an_error_of_a_later_stage_ends_a_drained_chain() -> None:
    async def fails(item: int) -> int:
        await asyncio.sleep(5)
        raise OSError(item)

    chain = MapNode("a", slowly, "x", "y", max_concurrency=1) | MapNode("b", fails, "y", "z")
    iterator = chain.stream(range(FAR))
    taking = asyncio.create_task(raised_by(take_all(iterator, [])))
    await asyncio.sleep(1.5)
    iterator.drain()
    error = await taking
    assert isinstance(error, NodeError)
    assert error.node_id == "b"


# --- The handle of those that have no iterator ---


async def test_a_valve_drains_what_is_observed_executed_and_put_into_a_chain() -> None:
    valve = Valve()
    stage = MapNode("a", slowly, "x", "y", max_concurrency=2)
    by_observer: list[int] = []
    by_operator: list[int] = []
    observing = asyncio.create_task(
        observed(stage.observe(range(FAR), valve=valve, ordered=True), by_observer)
    )
    chained = rx.from_iterable(range(100)).pipe(stage.as_operator(ordered=True, valve=valve))
    piping = asyncio.create_task(observed(chained, by_operator))
    running = asyncio.create_task(stage.run({"x": range(FAR)}, valve=valve))
    await asyncio.sleep(1.5)
    assert await valve.drain() == 0
    assert (await observing, by_observer) == (None, [0, 1, 2, 3])
    assert (await piping, by_operator) == (None, [0, 1, 2, 3])
    assert await running == {"y": [0, 1, 2, 3]}
    assert await stage.run({"x": [1]}, valve=valve) == {"y": []}
    assert now() == 2


async def test_a_valve_of_a_run_is_not_that_of_the_stages_that_its_items_execute() -> None:
    valve = Valve()
    inner = MapNode("inner", slowly, "x", "y", max_concurrency=1)
    outer = MapNode("outer", inner, "x", "y", max_concurrency=1)
    items = [{"x": [1, 2, 3]}, {"x": [4]}]
    running = asyncio.create_task(outer.run({"x": items}, valve=valve))
    await asyncio.sleep(0.5)
    await valve.drain()
    assert await running == {"y": [{"y": [1, 2, 3]}]}


def test_what_is_no_valve_is_refused_at_the_call() -> None:
    stage = MapNode("a", slowly)
    for call in (stage.stream, stage.observe):
        with pytest.raises(TypeError, match=r"^valve must be a Valve, got True \(bool\)$"):
            call([], valve=True)
    with pytest.raises(TypeError, match=r"^valve must be a Valve, got 5 \(int\)$"):
        stage.as_operator(valve=5)  # type: ignore[arg-type]


async def test_operators_of_functions_can_be_drained_by_their_source() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)

    values: list[int] = []
    assert await observed(rx.from_iterable(numbers()).pipe(flat_map(slowly)), values) is None
    assert sorted(values) == [0, 1, 2]
