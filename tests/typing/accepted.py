"""Typed uses that a strict type checker must accept; it reads this file, nobody runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, assert_type

import reactivex
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    BatchResults,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    OverflowStrategy,
    ParallelNode,
    ParallelStrategy,
    Pipeline,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.operators import flat_map
from nadoo_flow.policies import retry, timeout


class Shout(BaseNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        workflow_context.variables["shouted"] = True
        text: str = node_context.input_data["text"]
        return NodeResult(success=True, output={"text": text.upper()}, metadata={"model": "m"})


class Untyped(BaseNode):
    isolate = "task"

    async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
        return NodeResult(success=False, error="no luck")


def length(text: str) -> int:
    return len(text)


async def slow_length(text: str) -> int:
    await asyncio.sleep(1)
    return len(text)


def labelled(label: str) -> Callable[[BaseNode], BaseNode]:
    return lambda node: FunctionNode(node.run, label)


async def nodes() -> None:
    shout = Shout("shout", node_type="text", name="Shout", config={"loud": True})
    assert_type(shout.node_id, str)
    assert_type(await shout.execute(NodeContext(input_data={}), WorkflowContext()), NodeResult)
    assert_type(await shout.run({"text": "x"}), Any)
    assert_type(await shout.run("bare", workflow_context=WorkflowContext()), Any)
    assert_type(shout.pipe(labelled("a"), labelled("b")), BaseNode)
    assert_type(shout.pipe(retry(3), timeout(5), labelled("a")), BaseNode)
    assert_type(retry(3)(slow_length), BaseNode)
    assert_type(shout | Untyped() | length | slow_length, BaseNode)
    assert_type(length | shout, BaseNode)
    assert_type(Pipeline(shout, length, node_id="both"), Pipeline)
    FunctionNode(length, "length")
    FunctionNode(lambda text: text)


async def batches(processor: BatchProcessor) -> None:
    assert_type(await processor.batch([{"text": "x"}, "bare", 5]), BatchResults)
    assert_type(await processor.batch(range(5), WorkflowContext()), BatchResults)
    assert_type(await processor.batch(_asynchronous()), BatchResults)
    as_plain_list: list[BatchResult] = await processor.batch([1])
    assert_type(as_plain_list[0], BatchResult)
    assert_type(await processor.process_single({"text": "x"}, 0), BatchResult)
    async for result in processor.batch_as_completed(reactivex.of(1, 2)):
        assert_type(result, BatchResult)
    async with processor.batch_as_completed(n for n in range(5)) as results:
        assert_type(await anext(results), BatchResult)
        await results.aclose()
    assert_type(processor.observe([1]), reactivex.Observable[BatchResult])
    processor.batch_as_completed(Subject[int](), buffer=5, overflow=OverflowStrategy.DROP_OLDEST)


def results(result: BatchResult) -> None:
    assert_type(result.index, int)
    assert_type(result.success, bool)
    assert_type(result.error, str | None)
    assert_type(result.execution_time, float | None)
    assert_type(result.exception, BaseException | None)
    assert_type(result.metadata, dict[str, Any])
    result.index = 7


def makers(shout: Shout) -> None:
    BatchProcessor(shout)
    BatchProcessor(slow_length, max_concurrency=5, continue_on_error=False)
    BatchProcessor(node=shout | length)
    MapNode("map", slow_length, "texts", "lengths", 5, continue_on_error=True)
    MapNode(node_id="map", child_node=shout, input_key="texts", output_key="shouts")
    FilterNode("long", lambda text: len(text) > 5, "texts", "long")
    FilterNode(node_id="long", filter_fn=slow_length)
    ReduceNode("sum", lambda total, n: total + n, 0, "numbers", "sum")
    ReduceNode(node_id="sum", reduce_fn=add)
    ParallelNode([shout, length, slow_length], ParallelStrategy.RACE, node_id="first")
    ParallelNode(nodes=(shout,), strategy=ParallelStrategy.ALL_SETTLED)


async def add(total: int | None, number: int) -> int:
    return (total or 0) + number


def operators(source: reactivex.Observable[str], stage: MapNode) -> None:
    source.pipe(flat_map(slow_length, max_concurrency=5, ordered=True), ops.take(3))
    source.pipe(stage.as_operator(), ops.filter(bool), stage.as_operator(ordered=True))


async def streams(stage: MapNode) -> None:
    async with stage.stream(_asynchronous(), ordered=True, max_in_flight=10) as outputs:
        async for output in outputs:
            assert_type(output, Any)
    stage.observe([1], workflow_context=WorkflowContext()).subscribe(print)


def errors(error: NodeError) -> None:
    assert_type(error.node_id, str)
    assert_type(error.error, str)
    assert_type(error.index, int | None)


async def _asynchronous() -> AsyncIterator[int]:
    yield 1
