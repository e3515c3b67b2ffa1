"""RouteStage: one of several stages for each item of a list."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nadoo_flow import (
    ExpandNode,
    FilterNode,
    FlatMapNode,
    MapNode,
    NodeError,
    OperatorNode,
    ReduceNode,
    route,
)
from nadoo_flow.stages import RouteStage

from ..stand_ins import assert_only_the_caller_runs, now, raised_by


class Gauge:
    """Takes some seconds, and knows how many items were at work at a time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.working = self.peak = 0

    async def __call__(self, item: Any) -> Any:
        self.working += 1
        self.peak = max(self.peak, self.working)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.working -= 1
        return item


def parity(number: int) -> str:
    return "odd" if number % 2 else "even"


def parts(**functions: Any) -> dict[str, MapNode[Any, Any]]:
    return {name: MapNode(name, function) for name, function in functions.items()}


async def test_each_item_goes_its_way_and_order_is_kept() -> None:
    stage = route(parity, parts(odd=lambda n: -n, even=lambda n: n * 10))
    assert isinstance(stage, RouteStage)
    assert await stage.run({"items": [1, 2, 3, 4]}) == {"results": [-1, 20, -3, 40]}


async def test_each_route_has_a_concurrency_of_its_own() -> None:
    slow, quick = Gauge(10), Gauge(1)
    stage = route(
        parity,
        {
            "odd": MapNode("odd", slow, max_concurrency=2),
            "even": MapNode("even", quick, max_concurrency=5),
        },
    )
    await stage.run({"items": list(range(40))})
    assert (slow.peak, quick.peak) == (2, 5)
    assert now() == 100


async def test_a_slow_route_does_not_hold_up_the_others() -> None:
    stage = route(parity, parts(odd=Gauge(100), even=Gauge(1)))
    seen = [(value, now()) async for value in stage.stream(range(6))]
    assert seen[:3] == [(0, 1), (2, 1), (4, 1)]
    assert sorted(seen[3:]) == [(1, 100), (3, 100), (5, 100)]


async def test_it_joins_chains() -> None:
    chain = (
        MapNode("before", lambda n: n + 1, "numbers", "items")
        | route(parity, parts(odd=lambda n: -n, even=Gauge(1)))
        | ReduceNode("total", lambda total, n: [*total, n], [], "results", "all")
    )
    assert len(chain.stages) == 3  # type: ignore[attr-defined]
    assert await chain.run({"numbers": [0, 1, 2, 3]}) == {"all": [-1, 2, -3, 4]}


async def test_a_filter_may_be_a_route() -> None:
    stage = route(
        parity,
        {
            "odd": FilterNode("big", lambda n: n > 4, output_key="results"),
            "even": MapNode("same", lambda n: n),
        },
    )
    data = await stage.run({"items": list(range(8))})
    assert data == {"results": [0, 2, 4, 5, 6, 7]}
    assert [n async for n in stage.stream(range(8), ordered=True)] == [0, 2, 4, 5, 6, 7]


async def test_the_default_takes_every_other_item() -> None:
    stage = route(parity, parts(odd=lambda n: -n), default=MapNode("other", lambda n: n * 10))
    assert await stage.run({"items": [1, 2]}) == {"results": [-1, 20]}


async def test_items_are_bounded_by_the_window() -> None:
    pulled = 0

    def source() -> Any:
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled

    stage = route(parity, parts(odd=Gauge(1), even=Gauge(1)))
    async with stage.stream(source(), max_in_flight=50) as values:
        async for _ in values:
            await asyncio.sleep(100)
            break
    assert pulled <= 51


class TestFailing:
    async def test_names_the_stage_of_the_route(self) -> None:
        stage = route(parity, parts(odd=lambda n: 1 // (n - 1), even=Gauge(5)))
        error = await raised_by(stage.run({"items": [2, 1]}))
        assert isinstance(error, NodeError)
        assert isinstance(error.__cause__, ZeroDivisionError)
        assert "item 1: ZeroDivisionError" in str(error)
        assert_only_the_caller_runs()

    async def test_may_leave_items_out(self) -> None:
        stages = {
            "odd": MapNode("odd", lambda n: 1 // (n - 1), continue_on_error=True),
            "even": MapNode("even", lambda n: n),
        }
        assert await route(parity, stages).run({"items": [1, 2, 3]}) == {"results": [2, 0]}

    @pytest.mark.parametrize("fn", [lambda _: "none", lambda _: 1 // 0])
    async def test_of_the_choice_ends_the_run(self, fn: Any) -> None:
        stage = route(fn, parts(odd=Gauge(1)), node_id="choice")
        error = await raised_by(stage.run({"items": [7]}))
        assert isinstance(error, NodeError)
        assert error.node_id == "choice"
        assert "item 0: " in str(error)

    async def test_of_the_source_waits_for_all_routes(self) -> None:
        def source() -> Any:
            yield from (1, 2)
            raise OSError("gone")

        stage, seen = route(parity, parts(odd=Gauge(9), even=Gauge(1))), []
        with pytest.raises(OSError, match="gone"):
            async for value in stage.stream(source()):
                seen.append((value, now()))
        assert seen == [(2, 1), (1, 9)]


async def test_events_and_bars_know_it_as_one_stage() -> None:
    stage, seen = route(parity, parts(odd=Gauge(2), even=Gauge(1)), node_id="choice"), []
    stage.events.subscribe(seen.append)
    await stage.run({"items": [1, 2]})
    assert [(event.kind, event.stage, event.index, event.time) for event in seen] == [
        ("started", "choice", 0, 0),
        ("started", "choice", 1, 0),
        ("finished", "choice", 1, 1),
        ("finished", "choice", 0, 2),
    ]


class TestMaking:
    @pytest.mark.parametrize(
        "stage",
        [
            FlatMapNode("x", lambda n: [n]),
            ExpandNode("x", lambda n: []),
            ReduceNode("x", lambda total, n: n),
            OperatorNode(lambda items: items),
            MapNode("x", lambda n: n, key=lambda n: n),
            MapNode("x", lambda n: n, "items", "a") | MapNode("y", lambda n: n, "a", "results"),
        ],
        ids=lambda stage: type(stage).__name__,
    )
    def test_refuses_stages_that_make_other_items(self, stage: Any) -> None:
        with pytest.raises(TypeError, match="must be a MapNode without key=, or a FilterNode"):
            route(parity, {"odd": stage})

    def test_refuses_a_node_beside_stages(self) -> None:
        with pytest.raises(TypeError, match="default must be a stage, as the other routes are"):
            route(parity, parts(odd=Gauge(1)), default=abs)

    @pytest.mark.parametrize("key", ["input_key", "output_key"])
    def test_refuses_routes_with_different_keys(self, key: str) -> None:
        other = MapNode("even", abs, **{key: "other"})
        with pytest.raises(ValueError, match=f"the routes must have the same {key}, got"):
            route(parity, {"odd": MapNode("odd", abs), "even": other})

    def test_is_drawn_with_its_routes(self) -> None:
        stage = route(parity, parts(odd=Gauge(1)), default=MapNode("rest", abs, max_concurrency=2))
        assert "odd: odd (10 at a time), otherwise: rest (2 at a time)" in stage.to_mermaid()
