"""Mapping a node over a list, and how the stages agree with plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadoo_flow import (
    BaseNode,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.testing import VirtualTimeLoop

from ..stand_ins import (
    CLEAN_UP,
    FLOOR_DIVISION,
    Listener,
    Probe,
    ScriptedNode,
    answer,
    assert_only_the_caller_runs,
    now,
    slowly,
)
from .functions import sync_or_async


class TestMapNode:
    async def test_outputs_are_in_input_order(self) -> None:
        node = MapNode("slow", slowly, input_key="in", output_key="out", max_concurrency=3)
        assert await node.run({"in": [3, 1, 2]}) == {"out": [3, 1, 2]}
        assert now() == 3

    @sync_or_async
    async def test_takes_a_function(self, kind: Callable[..., Any]) -> None:
        node = MapNode("upper", kind(str.upper))
        assert await node.run({"items": ["a", "b"]}) == {"results": ["A", "B"]}

    @pytest.mark.parametrize(
        ("item", "given_to_child"),
        [
            ("text", {"item": "text"}),
            (None, {"item": None}),
            ([1], {"item": [1]}),
            ({"prompt": "x"}, {"prompt": "x"}),
            ({"item": 1}, {"item": 1}),
            ({}, {}),
        ],
    )
    async def test_gives_its_child_a_mapping_as_it_is_and_others_in_an_envelope(
        self, item: Any, given_to_child: Any
    ) -> None:
        listener = Listener()
        await MapNode("map", listener).run({"items": [item, item]})
        assert listener.inputs == [given_to_child, given_to_child]
        assert listener.contexts[0][0] is not listener.contexts[1][0]

    @pytest.mark.parametrize(
        ("output", "listed"),
        [
            ({"item": "x"}, "x"),
            ({"item": None}, None),
            ({"item": {"item": 1}}, {"item": 1}),
            ({"item": 1, "more": 2}, {"item": 1, "more": 2}),
            ({"answer": 1}, {"answer": 1}),
            ("bare", "bare"),
            (None, None),
            ([], []),
        ],
    )
    async def test_lists_a_bare_item_as_the_value_and_others_as_they_are(
        self, output: Any, listed: Any
    ) -> None:
        async def script(_: Any) -> NodeResult:
            return NodeResult(success=True, output=output)

        assert await MapNode("map", ScriptedNode(script)).run({"items": [0]}) == {
            "results": [listed]
        }

    @pytest.mark.parametrize("limit", [1, 2, 5, 10])
    async def test_concurrency_reaches_the_limit_and_never_exceeds_it(self, limit: int) -> None:
        probe = Probe()
        await MapNode("map", probe, max_concurrency=limit).run({"items": [2, 1, 3] * 4})
        assert probe.peak == limit

    async def test_shares_the_workflow_context(self) -> None:
        class Counter(BaseNode):
            async def execute(
                self, node_context: NodeContext, workflow_context: WorkflowContext
            ) -> NodeResult:
                count = workflow_context.variables.get("count", 0) + 1
                workflow_context.variables["count"] = count
                return NodeResult(success=True, output=count)

        context = WorkflowContext({"count": 10})
        output = await MapNode("map", Counter()).run({"items": [0, 0]}, context)
        assert output == {"results": [11, 12]}
        assert context.variables == {"count": 12}

    async def test_isolates_its_items_as_the_child_asks(self) -> None:
        tasks: set[asyncio.Task[Any] | None] = set()

        async def current(_: Any) -> None:
            tasks.add(asyncio.current_task())

        child = FunctionNode(current)
        child.isolate = "task"
        await MapNode("map", child, max_concurrency=1).run({"items": [1, 2, 3]})
        assert len(tasks) == 3

    @pytest.mark.parametrize("returned", [False, True])
    async def test_stops_at_the_first_failing_item_and_names_it(self, returned: bool) -> None:
        cause, probe = ValueError("bad"), Probe()

        async def work(item: float) -> Any:
            if item == 1:
                await asyncio.sleep(1)
                if returned:
                    return NodeResult(success=False, error="no luck")
                raise cause
            return await probe(item)

        node = MapNode("map", work, max_concurrency=3)
        result = await answer(node, {"items": [10, 1, 20, 30, 40]})
        error = "no luck" if returned else "ValueError: bad"
        assert result == NodeResult(success=False, error=f"item 1: {error}")
        assert isinstance(result.exception, NodeError if returned else ValueError)
        assert probe.started == [10, 20]
        assert now() == 1 + CLEAN_UP
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    async def test_raises_an_error_with_the_item_and_the_cause_where_it_is_run(self) -> None:
        node = MapNode("map", lambda value: 1 // value)
        with pytest.raises(NodeError) as caught:
            await node.run({"items": [1, 0]})
        assert str(caught.value) == f"node 'map' failed: item 1: {FLOOR_DIVISION}"
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    async def test_goes_on_without_failed_items_and_reports_them_in_input_order(self) -> None:
        async def work(item: int) -> Any:
            await asyncio.sleep(10 - item)
            if item % 3 == 0:
                raise ValueError(f"no {item}")
            if item == 4:
                return NodeResult(success=False)
            return item

        node = MapNode("map", work, continue_on_error=True)
        result = await answer(node, {"items": range(7)})
        assert result == NodeResult(
            success=True,
            output={"results": [1, 2, 5]},
            metadata={
                "inputs": 7,
                "outputs": 3,
                "errors": [
                    {"index": 0, "error": "ValueError: no 0"},
                    {"index": 3, "error": "ValueError: no 3"},
                    {"index": 4, "error": "the node reported a failure without a message"},
                    {"index": 6, "error": "ValueError: no 6"},
                ],
            },
        )

    async def test_succeeds_with_nothing_where_every_item_failed(self) -> None:
        node = MapNode("map", lambda value: 1 // value, continue_on_error=True)
        result = await answer(node, {"items": [0] * 100})
        assert (result.success, result.output) == (True, {"results": []})
        assert [error["index"] for error in result.metadata["errors"]] == list(range(100))

    def test_needs_a_child_and_a_real_limit(self) -> None:
        with pytest.raises(TypeError, match=r"^child_node must be a node or a function, got None"):
            MapNode("map")
        with pytest.raises(TypeError, match=r"^continue_on_error must be True or False, got 1"):
            MapNode("map", slowly, continue_on_error=1)  # type: ignore[call-overload]


@pytest.mark.slow
@given(
    items=st.lists(st.tuples(st.integers(0, 9), st.floats(0, 5))),
    limits=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_map_filter_and_reduce_mean_what_they_mean_in_plain_python(
    items: list[tuple[int, float]], limits: tuple[int, int]
) -> None:
    async def double(item: tuple[int, float]) -> int:
        await asyncio.sleep(item[1])
        return item[0] * 2

    async def is_small(number: int) -> bool:
        await asyncio.sleep(number)
        return number < 10

    pipeline = (
        MapNode("map", double, max_concurrency=limits[0])
        | FilterNode("filter", is_small, "results", max_concurrency=limits[1])
        | ReduceNode("reduce", lambda text, number: f"{text},{number}", "", "filtered")
    )
    doubled = [number * 2 for number, _ in items]
    expected = "".join(f",{number}" for number in doubled if number < 10)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(pipeline.run({"items": items})) == {"result": expected}
