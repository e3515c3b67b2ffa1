"""A chain of list stages is one operator chain, and outputs what its stages output one by one."""

from __future__ import annotations

import asyncio
import math
import operator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import compose
from reactivex import operators as ops

from nadoo_flow import (
    BaseNode,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    OperatorNode,
    Pipeline,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.stages.fusion import Operator, StageRun
from nadoo_flow.stages.stage import Chain, ListStage
from nadoo_flow.testing import VirtualTimeLoop


@dataclass(frozen=True)
class StageSpec:
    """One random stage: its kind, and on which values it fails, drops or takes how long."""

    kind: str
    salt: int
    max_concurrency: int
    continue_on_error: bool
    failing: bool

    def build(self, input_key: str, output_key: str) -> ListStage:
        keys = {"input_key": input_key, "output_key": output_key}
        if self.kind == "map":
            return MapNode(
                "map",
                self.mapped,
                max_concurrency=self.max_concurrency,
                continue_on_error=self.continue_on_error,
                **keys,
            )
        if self.kind == "filter":
            return FilterNode("filter", self.kept, max_concurrency=self.max_concurrency, **keys)
        if self.kind == "scan":
            return OperatorNode(ops.scan(lambda total, value: total + value, 0), **keys)
        if self.kind == "buffer":
            sums = ops.map(sum)
            return OperatorNode(ops.buffer_with_count(1 + self.salt % 3), sums, **keys)
        return ReduceNode("reduce", lambda total, value: (*total, value), (), **keys)

    async def mapped(self, value: int) -> int:
        await asyncio.sleep((value * 7 + self.salt) % 5)
        if self.failing and (value + self.salt) % 4 == 0:
            raise ValueError(f"bad {value}")
        return value * 3 + self.salt

    async def kept(self, value: int) -> bool:
        await asyncio.sleep((value * 3 + self.salt) % 3)
        return (value + self.salt) % 3 != 0


stage_specs = st.builds(
    StageSpec,
    kind=st.sampled_from(["map", "map", "filter", "scan", "buffer"]),
    salt=st.integers(0, 9),
    max_concurrency=st.integers(1, 5),
    continue_on_error=st.booleans(),
    failing=st.integers(0, 3).map(lambda dice: dice == 0),
)


def in_virtual_time(coroutine: Any) -> Any:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)


async def one_by_one(stages: list[ListStage], items: list[int]) -> NodeResult:
    data: Any = {"k0": items}
    for stage in stages:
        result = await stage.execute(NodeContext(data), WorkflowContext())
        if not result.success:
            return result
        data = result.output
    return result


async def fused(stages: list[ListStage], items: list[int]) -> NodeResult:
    chain: BaseNode = stages[0]
    for stage in stages[1:]:
        chain = chain | stage
    assert isinstance(chain, ListStage)
    assert chain.stages == tuple(stages)
    result = await chain.execute(NodeContext({"k0": items}), WorkflowContext())
    assert len(asyncio.all_tasks()) == 1
    return result


@pytest.mark.slow
@pytest.mark.one_python
@settings(max_examples=2_000, deadline=None)
@given(
    specs=st.lists(stage_specs, min_size=1, max_size=4),
    reduced=st.booleans(),
    items=st.lists(st.integers(0, 30), max_size=12),
)
def test_fused_equals_one_by_one(specs: list[StageSpec], reduced: bool, items: list[int]) -> None:
    if reduced:
        specs = [*specs, StageSpec("reduce", 0, 1, False, False)]
    stages = [spec.build(f"k{i}", f"k{i + 1}") for i, spec in enumerate(specs)]
    apart = in_virtual_time(one_by_one(stages, items))
    together = in_virtual_time(fused(stages, items))
    assert (together.success, together.output) == (apart.success, apart.output)


def test_stages_whose_keys_meet_are_one_chain_however_they_are_grouped() -> None:
    a, b, c = (MapNode(name, abs, name, chr(ord(name) + 1)) for name in "abc")
    for chain in ((a | b) | c, a | (b | c), Pipeline(a, b, c).nodes[0]):
        assert isinstance(chain, Chain)
        assert chain.stages == (a, b, c)
        assert (chain.input_key, chain.output_key, chain.node_id) == ("a", "d", "a | b | c")


@pytest.mark.parametrize(
    "first",
    [
        MapNode("a", abs, "x", "y"),
        ReduceNode("a", max, 0, "x", "y"),
        MapNode("x", abs, "x", "w") | MapNode("a", abs, "w", "y"),
    ],
    ids=["map", "reduce", "chain"],
)
@pytest.mark.parametrize("join", [operator.or_, Pipeline], ids=["|", "Pipeline"])
def test_rule_r18_stages_whose_keys_cannot_meet_are_refused(first: BaseNode, join: Any) -> None:
    with pytest.raises(ValueError, match=r"^the input_key of 'b' must be 'y'") as caught:
        join(first, MapNode("b", abs, "other", "z"))
    assert str(caught.value) == (
        "the input_key of 'b' must be 'y', the only key in the output of "
        f"{first.node_id!r}, got 'other'"
    )


async def test_stages_that_may_have_more_keys_stay_apart() -> None:
    class Keeping(MapNode):
        async def execute(
            self, node_context: NodeContext, workflow_context: WorkflowContext
        ) -> NodeResult:
            result = await super().execute(node_context, workflow_context)
            result.output = {**node_context.input_data, **result.output}
            return result

    class Elsewhere(MapNode):
        async def execute(
            self, node_context: NodeContext, workflow_context: WorkflowContext
        ) -> NodeResult:
            data = {self.input_key: node_context.input_data["y"]}
            return await super().execute(NodeContext(data), workflow_context)

    data = {"x": [-1], "other": [-2, -3]}
    keeping = Keeping("a", abs, "x", "y") | MapNode("b", abs, "other", "z")
    assert await keeping.run(data) == {"z": [2, 3]}
    elsewhere = MapNode("a", abs, "x", "y") | Elsewhere("b", repr, "other", "z")
    assert await elsewhere.run(data) == {"z": ["1"]}


def test_neighbours_fuse_also_behind_and_before_other_nodes() -> None:
    head, tail = FunctionNode(dict, "head"), FunctionNode(dict, "tail")
    a, b = MapNode("a", abs, "x", "y"), MapNode("b", abs, "y", "z")
    pipeline = head | a | b | tail
    assert isinstance(pipeline, Pipeline)
    assert [node.node_id for node in pipeline.nodes] == ["head", "a | b", "tail"]


async def test_what_follows_a_reduce_opens_its_value_as_a_list() -> None:
    reduce = ReduceNode("r", lambda acc, x: [*acc, x, x], [], "x", "y")
    pipeline = reduce | MapNode("m", abs, "y", "z")
    assert isinstance(pipeline, Pipeline)
    assert await pipeline.run({"x": [-1, -2]}) == {"z": [1, 1, 2, 2]}


async def test_the_second_stage_starts_while_the_first_still_works() -> None:
    loop, starts = asyncio.get_running_loop(), []

    async def first(value: int) -> int:
        await asyncio.sleep(value)
        return value

    async def second(value: int) -> int:
        starts.append((value, loop.time()))
        await asyncio.sleep(10)
        return value

    chain = MapNode("a", first, "x", "y") | MapNode("b", second, "y", "z")
    assert await chain.run({"x": [3, 1, 2]}) == {"z": [3, 1, 2]}
    assert starts == [(1, 1), (2, 2), (3, 3)]
    assert loop.time() == 13


async def test_a_failing_item_names_its_stage_and_its_index() -> None:
    def second(value: int) -> int:
        raise ValueError(f"bad {value}")

    chain = MapNode("a", abs, "x", "y") | MapNode("b", second, "y", "z")
    with pytest.raises(NodeError) as caught:
        await chain.run({"x": [-7]})
    assert str(caught.value) == "node 'a | b' failed: stage 'b': item 0: ValueError: bad 7"
    assert isinstance(caught.value.__cause__, ValueError)


async def test_failures_that_are_left_out_are_told_with_their_stage() -> None:
    def odd(value: int) -> int:
        if value % 2 == 0:
            raise ValueError("even")
        return value

    def small(value: int) -> int:
        if value > 3:
            raise ValueError("large")
        return value

    chain = MapNode("odd", odd, "x", "y", continue_on_error=True) | MapNode(
        "small", small, "y", "z", continue_on_error=True
    )
    result = await chain.execute(NodeContext({"x": [1, 2, 3, 5]}), WorkflowContext())
    assert result.output == {"z": [1, 3]}
    assert result.metadata == {
        "inputs": 4,
        "outputs": 2,
        "errors": [
            {"index": 1, "error": "ValueError: even", "stage": "odd"},
            {"index": 3, "error": "ValueError: large", "stage": "small"},
        ],
    }


class Tenfold(MapNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        result = await super().execute(node_context, workflow_context)
        return NodeResult(True, {"results": [value * 10 for value in result.output["results"]]})


def add(total: int, value: int) -> int:
    return total + value


async def test_rule_r14_a_stage_that_overrides_execute_is_not_fused() -> None:
    total = ReduceNode("sum", add, 0, "results")
    for pipeline in (
        Tenfold("m", abs) | total,
        Pipeline(Tenfold("m", abs), total),
        FilterNode("f", bool, output_key="items") | Tenfold("m", abs) | total,
        FilterNode("f", bool, output_key="items") | (Tenfold("m", abs) | total),
        MapNode("n", abs, output_key="items")
        | FilterNode("f", bool, output_key="items")
        | Tenfold("m", abs)
        | total,
    ):
        assert isinstance(pipeline, Pipeline)
        assert await pipeline.run({"items": [1, 2]}) == {"result": 30}


async def test_rule_r14_nor_is_one_whose_instance_overrides_it() -> None:
    stage = MapNode("m", abs)

    async def execute(_: NodeContext, __: WorkflowContext) -> NodeResult:
        return NodeResult(True, {"results": [10, 20]})

    stage.execute = execute  # type: ignore[method-assign]
    assert await (stage | ReduceNode("sum", add, 0, "results")).run({"items": [1, 2]}) == {
        "result": 30
    }


async def test_rule_r14_each_kind_of_stage_keeps_its_own_execute() -> None:
    async def execute(self: BaseNode, *_: object) -> NodeResult:
        return NodeResult(True, {"y": [10, 20]})

    keys = {"input_key": "x", "output_key": "y"}
    for kind, argument in (
        (MapNode, {"child_node": abs}),
        (FilterNode, {"filter_fn": bool}),
        (ReduceNode, {"reduce_fn": add}),
        (OperatorNode, {}),
    ):
        own = type("Own", (kind,), {"execute": execute})
        stage = own(ops.to_list(), **keys) if kind is OperatorNode else own(**argument, **keys)
        pipeline = stage | MapNode("m", abs, "y", "z")
        assert await pipeline.run({"x": [1]}) == {"z": [10, 20]}
        behind = MapNode("m", abs, "w", "x") | stage
        assert await behind.run({"w": [1]}) == {"y": [10, 20]}


async def test_rule_r14_what_opens_and_closes_the_list_is_not_left_out() -> None:
    class Reversed(MapNode):
        def _close(self, values: list[Any]) -> Any:
            return values[::-1]

    class Every(MapNode):
        def _open(self, data: Any) -> Any:
            return [value for values in data.values() for value in values]

    join = ReduceNode("join", lambda so_far, value: so_far + str(value), "", "results")
    assert await (Reversed("r", abs) | join).run({"items": [1, 2]}) == {"result": "21"}
    last = MapNode("n", abs, output_key="items") | Reversed("r", abs)
    assert isinstance(last, Chain)
    assert await (last | join).run({"items": [1, 2]}) == {"result": "21"}
    assert await (Every("e", abs) | join).run({"a": [1], "b": [2]}) == {"result": "12"}


async def test_rule_r14_a_stage_that_overrides_operator_is_fused_with_it() -> None:
    class Doubled(MapNode):
        def operator(self, stage_run: StageRun) -> Operator:
            twice = ops.map(lambda indexed: (indexed[0], indexed[1] * 2))
            return compose(super().operator(stage_run), twice)

    chain = Doubled("d", abs, output_key="items") | Doubled("d", abs)
    assert isinstance(chain, Chain)
    assert await chain.run({"items": [1, 2]}) == {"results": [4, 8]}


async def test_rule_r14_one_that_overrides_run_is_fused_as_nothing_calls_it_there() -> None:
    class Greeting(MapNode):
        async def run(self, *_: Any) -> Any:
            return "hello"

    stage = Greeting("g", abs)
    assert await stage.run({"items": [1]}) == "hello"
    assert isinstance(stage | FilterNode("f", bool, "results"), Chain)
    for pipeline in (stage | FunctionNode(len), FunctionNode(dict) | stage):
        assert await pipeline.run({"items": [1]}) != "hello"


class Traced(Pipeline):
    def __init__(self, *nodes: Any) -> None:
        super().__init__(*nodes, node_id="traced")
        self.executed = 0

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        self.executed += 1
        return await super().execute(node_context, workflow_context)


async def test_rule_r14_a_pipeline_that_overrides_execute_is_not_spread() -> None:
    traced = Traced(abs, lambda value: -value)
    for pipeline in (traced | abs, math.floor | Pipeline(traced) | abs, Pipeline(traced, abs)):
        before = traced.executed
        await pipeline.run(-5)
        assert traced.executed == before + 1
    assert isinstance(traced | abs, Pipeline)


async def test_rule_r14_nor_is_one_that_makes_its_nodes_anew() -> None:
    class Current(Pipeline):
        def __init__(self) -> None:
            self.step: Any = FunctionNode(abs)
            super().__init__(abs)

        @property
        def nodes(self) -> tuple[BaseNode, ...]:
            return (self.step,)

        @nodes.setter
        def nodes(self, _: object) -> None:
            pass

    current = Current()
    pipeline = current | math.floor
    current.step = FunctionNode(lambda value: value * 2)
    assert await pipeline.run(-5) == -10


def test_pipelines_that_add_nothing_are_spread() -> None:
    class Named(Pipeline):
        pass

    pipeline = Named(abs, math.floor) | math.sqrt
    assert isinstance(pipeline, Pipeline)
    assert [node.node_id for node in pipeline.nodes] == ["abs", "floor", "sqrt"]


def test_what_is_joined_keeps_the_isolation_of_its_parts() -> None:
    a, b = MapNode("a", abs, "x", "y"), MapNode("b", abs, "y", "z")
    assert (a | b).isolate == "context"
    b.isolate = "task"
    assert (a | b).isolate == (a | b | FunctionNode(abs)).isolate == "task"
    pipeline = Pipeline(abs, math.floor)
    pipeline.isolate = "task"
    assert (pipeline | abs).isolate == Pipeline(abs, pipeline).isolate == "task"


async def test_a_stage_of_ones_own_that_drops_items_without_a_word_loses_no_others() -> None:
    class Odd(ListStage):
        def operator(self, stage_run: StageRun) -> Operator:
            return ops.filter(lambda indexed: indexed[1] % 2 == 1)

    chain = Odd("odd", "items", "results", 1) | ReduceNode("sum", add, 0, "results")
    assert await chain.run({"items": [1, 2, 3, 4, 5]}) == {"result": 9}


async def test_the_first_failure_stops_the_whole_chain() -> None:
    ended: list[int] = []

    async def slow(value: int) -> int:
        try:
            await asyncio.sleep(0 if value == 0 else 100)
        finally:
            await asyncio.sleep(0)
            ended.append(value)
        return value

    def broken(value: int) -> int:
        raise ValueError("no")

    chain = MapNode("a", slow, "x", "y", 3) | MapNode("b", broken, "y", "z")
    with pytest.raises(NodeError):
        await chain.run({"x": range(1_000)})
    assert len(asyncio.all_tasks()) == 1
    # Item 0 failed in the second stage; the two beside it and the one in its place were cancelled.
    assert sorted(ended) in ([0, 1, 2], [0, 1, 2, 3])
    assert asyncio.get_running_loop().time() == 0
