"""record: what each stage of a chain, and each node of a pipeline, sees."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.policies import retry
from nadoo_flow.testing import Passage, record

from ..stand_ins import ScriptedNode, raised_by


def slow_double(number: int) -> Any:
    return asyncio.sleep(number, number * 2)


def make_chain(**options: Any) -> Any:
    return (
        MapNode("double", slow_double, output_key="doubled", **options)
        | FilterNode("large", lambda number: number > 2, input_key="doubled", output_key="large")
        | ReduceNode("sum", lambda total, number: total + number, 0, input_key="large")
    )


async def test_a_chain() -> None:
    chain = make_chain()
    with record(chain) as seen:
        assert await chain.run({"items": [3, 1, 2]}) == {"result": 10}
    double, large, total = seen
    assert double.entered == [(0, 3, 0), (0, 1, 1), (0, 2, 2)]
    assert double.left == [Passage(1, 2, 1), Passage(2, 4, 2), Passage(3, 6, 0)]
    assert (large.inputs, large.outputs) == ([2, 4, 6], [4, 6])
    assert (total.inputs, total.outputs) == ([6, 4], [10])
    assert repr(seen["large"]) == "<StageRecord of 'large': [2, 4, 6] -> [4, 6]>"
    assert seen["large"] is large is seen[1]
    assert repr(seen[:1]) == f"({double!r},)"
    assert repr(seen).startswith("Recording([<StageRecord of 'double'")


async def test_each_run_inside_the_block_and_none_outside() -> None:
    chain = make_chain()
    with record(chain) as seen:
        await BatchProcessor(chain).batch([{"items": [1]}, {"items": [2]}])
        assert seen["double"].inputs == [1, 2]
    await chain.run({"items": [3]})
    assert seen["double"].inputs == [1, 2]
    assert "operator" not in vars(chain.stages[0])


async def test_recordings_may_be_nested() -> None:
    stage = MapNode("double", slow_double)
    with record(stage) as outer, record(stage) as inner:
        await stage.run({"items": [1]})
    assert outer["double"].outputs == inner["double"].outputs == [2]
    assert "operator" not in vars(stage)


async def test_an_item_that_fails_comes_in_and_not_out() -> None:
    stage = MapNode("div", lambda n: 1 / n, continue_on_error=True)
    with record(stage) as seen:
        await stage.run({"items": [0, 1]})
    assert (seen["div"].inputs, seen["div"].outputs) == ([0, 1], [1.0])


async def test_many_outputs_have_the_index_of_their_item() -> None:
    chain = FlatMapNode("split", str.split, output_key="words") | MapNode(
        "upper", str.upper, input_key="words"
    )
    with record(chain) as seen:
        await chain.run({"items": ["a b", "c"]})
    assert [(passage.value, passage.index) for passage in seen["upper"].left] == [
        ("A", 0),
        ("B", 0),
        ("C", 1),
    ]


async def test_a_stream_that_is_left() -> None:
    chain = MapNode("one", slow_double, output_key="o", max_concurrency=1) | MapNode(
        "two", slow_double, input_key="o"
    )
    with record(chain) as seen:
        async with chain.stream([1, 2, 3]) as stream:
            assert await anext(stream) == 4
    assert seen["two"].outputs == [4]


async def test_a_chain_with_a_checkpoint_is_recorded_as_it_resumes(tmp_path: Path) -> None:
    chain = MapNode("a", slow_double, output_key="o") | MapNode("b", slow_double, input_key="o")
    for _ in range(2):
        with record(chain) as seen:
            output = await chain.run({"items": [1]}, checkpoint=tmp_path / "file")
        assert (output, seen["b"].outputs) == ({"results": [4]}, [4])
    assert asyncio.get_running_loop().time() == 3


class Own(BaseNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        await asyncio.sleep(1)
        return NodeResult(True, {"item": node_context.input_data["item"] + 1})


async def test_the_nodes_of_a_pipeline() -> None:
    flaky = iter([ValueError("no"), None])

    def check(number: int) -> int:
        if error := next(flaky):
            raise error
        return number

    pipeline = Own("own") | FunctionNode(check).pipe(retry(wait=1)) | slow_double
    with record(pipeline) as seen:
        results = await BatchProcessor(pipeline).batch([1])
    assert results.outputs == [4]
    assert seen["own"].entered == [Passage(0, 1)]
    assert seen["own"].left == [Passage(1, 2)]
    assert seen["check"].left == [Passage(2, 2)]
    assert seen["slow_double"].outputs == [4]
    assert await pipeline.nodes[0].run(5) == {"item": 6}
    assert seen["own"].inputs == [1]


async def test_a_node_that_stands_in_a_pipeline_twice_has_one_record() -> None:
    node = FunctionNode(lambda text: text + "!", "shout")
    with record(node | node) as seen:
        assert await (node | node).run("a") == "a!!"
    assert (seen["shout"].inputs, seen["shout"].outputs) == (["a", "a!"], ["a!", "a!!"])


async def test_stages_inside_a_pipeline() -> None:
    pipeline = MapNode("map", slow_double) | len
    with record(pipeline) as seen:
        assert await pipeline.run({"items": [1, 2]}) == 1
    assert (seen["map"].inputs, seen["len"].inputs) == ([1, 2], [{"results": [2, 4]}])


async def test_an_answer_that_is_no_result_comes_not_out() -> None:
    node = ScriptedNode(lambda item: asyncio.sleep(0, item))
    with record(node) as seen:
        assert "expected NodeResult, got int" in str(await raised_by(node.run(1)))
    assert (seen[0].inputs, seen[0].outputs) == ([1], [])


async def test_ids_that_are_not_there_or_twice_are_an_error() -> None:
    with record(FunctionNode(len, "a") | FunctionNode(repr, "a")) as seen:
        pass
    with pytest.raises(LookupError, match=r"one stage 'a', and there are 2 among 'a', 'a'; a pos"):
        seen["a"]
    with pytest.raises(LookupError, match=r"one stage 'b', and there are 0 among 'a', 'a'; a pos"):
        seen["b"]
    assert len(seen) == 2


def test_it_refuses_what_is_no_node() -> None:
    with (
        pytest.raises(TypeError, match=r"node must be a node, got <.*len>"),
        record(len),  # type: ignore[arg-type]
    ):
        pass
