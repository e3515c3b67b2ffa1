"""Stages with a key: items of equal key are worked on one after the other, in a chain too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadoo_flow import FilterNode, FlatMapNode, FunctionNode, MapNode, NodeError
from nadoo_flow.stages import ListStage

from ..stand_ins import assert_only_the_caller_runs, now, raised_by
from ..streams.runs import in_any_case, in_virtual_time

Item = tuple[Any, float]


class Work:
    """A child that sleeps for the seconds in an item ``(key, seconds)``, and notes its times."""

    def __init__(self) -> None:
        self.begun: list[tuple[Any, float]] = []

    async def __call__(self, item: Item) -> Item:
        self.begun.append((item[0], now()))
        await asyncio.sleep(item[1])
        if item[1] == 0.5:
            raise ValueError("half")
        return item

    async def twice(self, item: Item) -> AsyncIterator[tuple[Item, int]]:
        """Give two outputs instead, each after the seconds."""
        for number in range(2):
            yield await self(item), number


def first(item: Item) -> Any:
    return item[0]


def same(value: Any) -> Any:
    return value


async def collect(stage: ListStage[Any, Any, Any], source: Any, **options: Any) -> list[Any]:
    async with stage.stream(source, **options) as outputs:
        return [output async for output in outputs]


A1, A2, A3, B1, C1 = ("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1)


class TestMapNode:
    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_rule_r40_items_of_a_key_run_one_after_the_other(self, isolate: Any) -> None:
        work = Work()
        node = FunctionNode(work)
        node.isolate = isolate
        items = [A3, A1, B1, B1, C1]
        assert await MapNode("map", node, key=first).run({"items": items}) == {"results": items}
        assert work.begun == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("a", 3)]

    @pytest.mark.parametrize("ordered", [False, True])
    @pytest.mark.parametrize("max_in_flight", [1, 2, 3, None])
    async def test_rule_r42_any_window_will_do(
        self, ordered: bool, max_in_flight: int | None
    ) -> None:
        items = [A2, A1, B1, A1, C1, C1, A1]
        stage = MapNode("map", Work(), max_concurrency=3, key=first)
        outputs = await collect(stage, items, ordered=ordered, max_in_flight=max_in_flight)
        assert sorted(outputs) == sorted(items)
        assert outputs == items or not ordered

    async def test_rule_r40_a_failed_item_lets_the_next_of_its_key_go(self) -> None:
        work = Work()
        stage = MapNode("map", work, continue_on_error=True, key=first)
        assert await stage.run({"items": [("a", 0.5), A1]}) == {"results": [A1]}
        assert work.begun == [("a", 0), ("a", 0.5)]

    async def test_without_continue_on_error_the_first_failure_ends_the_run(self) -> None:
        work = Work()
        stage = MapNode("map", work, key=first)
        error = await raised_by(stage.run({"items": [("a", 0.5), A1, B1]}))
        assert isinstance(error, NodeError)
        assert error.error == "item 0: ValueError: half"
        assert work.begun == [("a", 0), ("b", 0)]
        assert_only_the_caller_runs()

    async def test_rule_r43_an_item_without_a_key_fails(self) -> None:
        stage = MapNode("map", same, continue_on_error=True, key=lambda item: item["who"])
        output = await collect(stage, [{"who": 1}, {"whom": 1}, {"who": 1}])
        assert output == [{"who": 1}, {"who": 1}]
        strict = MapNode("map", same, key=lambda item: item["who"])
        error = await raised_by(strict.run({"items": [{"who": 1}, {"whom": 1}]}))
        assert isinstance(error, NodeError)
        assert error.error == (
            "item 1: RuntimeError: key raised KeyError: 'who' for {'whom': 1} (dict)"
        )

    def test_what_can_never_be_a_key_function_is_refused(self) -> None:
        for stage in (MapNode, FlatMapNode):
            with pytest.raises(TypeError, match=r"^key must be a function, got 'who' \(str\)$"):
                stage("stage", same, key="who")  # type: ignore[operator]


class TestFlatMapNode:
    async def test_rule_r40_all_outputs_of_an_item_come_before_the_next_of_its_key(self) -> None:
        work = Work()
        stage = FlatMapNode("flat", work.twice, key=first)
        outputs = await collect(stage, [A2, A1, B1])
        assert outputs == [(B1, 0), (A2, 0), (B1, 1), (A2, 1), (A1, 0), (A1, 1)]
        assert work.begun == [
            ("a", 0),
            ("b", 0),
            ("b", 1),
            ("a", 2),
            ("a", 4),
            ("a", 5),
        ]

    @pytest.mark.parametrize("max_in_flight", [1, 2, 3, None])
    async def test_rule_r40_outputs_are_in_order_where_that_is_asked_for(
        self, max_in_flight: int | None
    ) -> None:
        # The item of "b" starts before the second one of "a".
        items = [A2, A1, B1, A1, C1]
        stage = FlatMapNode("flat", Work().twice, max_concurrency=2, key=first)
        outputs = await collect(stage, items, ordered=True, max_in_flight=max_in_flight)
        assert outputs == [(item, number) for item in items for number in range(2)]

    async def test_rule_r41_the_oldest_goes_first_so_that_ordered_outputs_go_on(self) -> None:
        """On two lanes of which one would be lost to an item that comes later."""

        async def fill(item: int) -> AsyncIterator[int]:
            for _ in range(20 if item > 1 else 1):
                await asyncio.sleep(1)
                yield item

        stage = FlatMapNode("flat", fill, max_concurrency=2, key=lambda item: min(item, 2) // 2)
        apart = FlatMapNode(
            "flat", fill, max_concurrency=2, key=lambda item: item if item > 1 else 0
        )
        for each in (stage, apart):
            outputs = await collect(each, [0, 1, 2, 3, 4], ordered=True, max_in_flight=6)
            assert outputs == [0, 1, *[2] * 20, *[3] * 20, *[4] * 20]

    async def test_rule_r40_a_failed_item_lets_the_next_of_its_key_go(self) -> None:
        stage = FlatMapNode("flat", Work().twice, continue_on_error=True, key=first)
        outputs = await collect(stage, [("a", 0.5), A1], ordered=True)
        assert outputs == [(A1, 0), (A1, 1)]

    async def test_rule_r43_an_item_without_a_key_fails(self) -> None:
        stage = FlatMapNode("flat", lambda item: [item], continue_on_error=True, key=lambda i: {i})
        assert await collect(stage, [1, 2], ordered=True) == []
        strict = FlatMapNode("flat", lambda item: [item], key=lambda item: {item})
        error = await raised_by(strict.run({"items": [1]}))
        assert isinstance(error, NodeError)
        assert error.error == (
            "item 0: TypeError: key must return a hashable value, got {1} (set) for 1 (int)"
        )


class TestChains:
    async def test_rule_r40_behind_another_stage_the_order_is_that_of_the_source(self) -> None:
        # The first stage gives "b" before "a", and the second item of "a" before the first one.
        work = Work()
        chain = MapNode("quick", Work()) | MapNode("keyed", work, "results", key=first)
        await collect(chain, [A2, A1, ("b", 0)])
        assert work.begun == [("a", 2), ("b", 2), ("a", 4)]

    async def test_rule_r40_items_that_were_dropped_before_are_not_waited_for(self) -> None:
        work = Work()
        chain = (
            FilterNode("some", lambda item: item != A2)
            | MapNode("keyed", work, "filtered", "kept", continue_on_error=True, key=first)
            | FilterNode("more", lambda item: item != C1, "kept", "left")
        )
        items = [A2, A1, ("a", 0.5), B1, A2, C1, A3]
        for ordered in (False, True):
            outputs = await collect(chain, items, ordered=ordered)
            assert sorted(outputs) == [A1, A3, B1]
        assert outputs == [A1, B1, A3]

    async def test_rule_r40_outputs_of_an_item_are_in_its_order(self) -> None:
        work = Work()

        def split(item: int) -> Iterator[Item]:
            yield "a", item
            yield "b", 0

        chain = FlatMapNode("split", split) | MapNode("keyed", work, "results", key=first)
        await collect(chain, [3, 2, 1])
        assert work.begun == [("a", 0), ("b", 0), ("b", 0), ("b", 0), ("a", 3), ("a", 5)]

    async def test_rule_r40_one_stage_twice_in_a_chain_keeps_the_order_twice(self) -> None:
        begun: list[tuple[Any, float]] = []

        async def work(item: Item) -> Item:
            begun.append((item[1], now()))
            await asyncio.sleep(item[1])
            return item

        stage = MapNode("keyed", work, "items", "items", key=lambda item: item[1] == 9)
        await collect(stage | stage, [("a", 2), ("a", 1), ("a", 9), ("b", 1)])
        assert [when for seconds, when in begun if seconds == 1] == [2, 3, 4, 9]


KINDS = st.sampled_from(["map", "flat", "filter"])


@in_any_case
@given(
    kinds=st.lists(KINDS, min_size=1, max_size=3),
    seconds=st.lists(st.integers(0, 3), max_size=25),
    keys=st.integers(1, 6),
    limit=st.sampled_from([1, 2, 5]),
    window=st.sampled_from([None, 1, 2, 5]),
    ordered=st.booleans(),
)
def test_rule_r40_holds_in_any_chain(
    kinds: list[str], seconds: list[int], keys: int, limit: int, window: int | None, ordered: bool
) -> None:
    wrong: list[Any] = []

    def get_key(item: tuple[int, ...]) -> int:
        return sum(item) % keys

    def make_child(kind: str) -> Callable[[tuple[int, ...]], Any]:
        latest: dict[int, tuple[int, ...]] = {}
        at_work: set[int] = set()

        async def work(item: tuple[int, ...]) -> AsyncIterator[tuple[int, ...]]:
            key = get_key(item)
            if key in at_work or latest.get(key, ()) >= item:
                wrong.append(item)
            at_work.add(key)
            latest[key] = item
            for number in range(seconds[item[0]]):
                await asyncio.sleep(seconds[-item[0]])
                yield *item, number
            at_work.remove(key)

        async def work_once(item: tuple[int, ...]) -> tuple[int, ...]:
            outputs = [output async for output in work(item)]
            if len(outputs) == 3:
                raise ValueError("three")
            return item

        return work if kind == "flat" else work_once

    def make_stage(number: int, kind: str) -> ListStage[Any, Any, Any]:
        names = (kind, make_child(kind), str(number), str(number + 1), limit)
        if kind == "filter":
            return FilterNode(kind, lambda item: sum(item) % 3 != 0, *names[2:])
        stage = FlatMapNode if kind == "flat" else MapNode
        return stage(*names, True, key=get_key)  # type: ignore[operator,no-any-return]

    def make_chain() -> ListStage[Any, Any, Any]:
        chain, *others = (make_stage(number, kind) for number, kind in enumerate(kinds))
        for other in others:
            chain |= other
        return chain

    async def main() -> None:
        items = [(number,) for number in range(len(seconds))]
        whole = await make_chain().run({"0": items})
        outputs = await collect(make_chain(), items, ordered=ordered, max_in_flight=window)
        assert sorted(outputs) == whole[str(len(kinds))]
        assert outputs == sorted(outputs) or not ordered
        assert_only_the_caller_runs()

    in_virtual_time(main)
    assert wrong == []
