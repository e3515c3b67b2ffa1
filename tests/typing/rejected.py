"""Misuses that a strict type checker must reject; it reads this file, which never runs.

Each ignore names the error of mypy's that its line must give, and one that is not needed is an
error itself. Pyright must report an error on the same lines.
"""

# ruff: noqa: B018

from __future__ import annotations

from typing import Any

import reactivex

import nadoo_flow
from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    DynamicBatchProcessor,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ParallelNode,
    Pipeline,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.dashboard import Dashboard
from nadoo_flow.operators import flat_map
from nadoo_flow.policies import fallback, timeout
from nadoo_flow.telemetry import instrument
from nadoo_flow.testing import FlakyService, check_stage


class Answer:
    score: float = 1


async def ask(prompt: str) -> Answer:
    return Answer()


def judge(answer: Answer) -> float:
    return answer.score


def give_up(prompt: str) -> None:
    print(prompt)


def load_numbers(path: str) -> dict[str, list[int]]:
    return {"items": [len(path)]}


class Ask(BaseNode[str, Answer]):
    pass


class NotAsync(BaseNode):
    def execute(  # type: ignore[override]
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        return NodeResult(success=True)


class WrongAnswer(BaseNode):
    async def execute(  # type: ignore[override]
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> dict[str, Any]:
        return {}


class MissingContext(BaseNode):
    async def execute(self, node_context: NodeContext) -> NodeResult:  # type: ignore[override]
        return NodeResult(success=True)


class UnknownIsolation(BaseNode):
    isolate = "thread"  # type: ignore[assignment]


def names() -> None:
    nadoo_flow.Nodes  # type: ignore[attr-defined]


async def nodes(node: BaseNode) -> None:
    BaseNode(5)  # type: ignore[arg-type]
    BaseNode("id", "kind")  # type: ignore[call-arg]
    FunctionNode("upper")  # type: ignore[call-overload]
    Pipeline(node, 5)  # type: ignore[arg-type]
    node | 5  # type: ignore[operator]
    5 | node  # type: ignore[operator]
    node.pipe(5)  # type: ignore[arg-type]
    node.pipe(lambda inner: 5)  # type: ignore[arg-type, return-value]
    await node.run()  # type: ignore[call-arg]
    await node.run({}, {"shared": 1})  # type: ignore[arg-type]
    NodeResult()  # type: ignore[call-arg]
    NodeResult(success="yes")  # type: ignore[arg-type]
    NodeResult(success=False, error=ValueError())  # type: ignore[arg-type]
    WorkflowContext(variables=[])  # type: ignore[arg-type]


async def batches(node: BaseNode, processor: BatchProcessor) -> None:
    BatchProcessor()  # type: ignore[call-overload]
    BatchProcessor("node")  # type: ignore[call-overload]
    BatchProcessor(node, max_concurrency="5")  # type: ignore[call-overload]
    BatchProcessor(node, max_concurrency=2.5)  # type: ignore[call-overload]
    BatchProcessor(node, continue_on_error=None)  # type: ignore[call-overload]
    await processor.batch(5)  # type: ignore[arg-type]
    await processor.batch_as_completed([1])  # type: ignore[misc]
    for _ in processor.batch_as_completed([1]):  # type: ignore[attr-defined]
        pass
    processor.batch_as_completed([1], overflow="drop")  # type: ignore[arg-type]
    processor.batch_as_completed([1]).drain("5")  # type: ignore[arg-type]
    BatchProcessor(node, valve=True)  # type: ignore[call-overload]
    BatchProcessor(node, deadline="5")  # type: ignore[call-overload]
    BatchProcessor(node, max_usage={"usd": "5"})  # type: ignore[dict-item]
    processor.process_single({}, 0).success  # type: ignore[attr-defined]


def results(result: BatchResult) -> None:
    result.index = "7"  # type: ignore[assignment]
    result.outputs  # type: ignore[attr-defined]
    result.error.upper()  # type: ignore[union-attr]


def stages(stage: MapNode) -> None:
    MapNode("map", 5)  # type: ignore[call-overload]
    MapNode("map", len, max_concurrency=None)  # type: ignore[call-overload]
    FilterNode("filter", 5)  # type: ignore[call-overload]
    FilterNode("filter", lambda: True)  # type: ignore[arg-type, misc]
    ReduceNode("reduce", lambda item: item)  # type: ignore[arg-type, misc]
    ParallelNode(5)  # type: ignore[call-overload]
    ParallelNode([5])  # type: ignore[list-item]
    ParallelNode([len], "all")  # type: ignore[call-overload]
    stage.as_operator(True)  # type: ignore[call-arg]
    stage.stream(5)  # type: ignore[call-overload]
    stage.stream([1], False)  # type: ignore[call-overload]
    flat_map(5)  # type: ignore[call-overload]
    flat_map(len, ordered="yes")  # type: ignore[call-overload]


async def typed_batches(processor: BatchProcessor[str, Answer]) -> None:
    await processor.batch([1, 2])  # type: ignore[list-item]
    await processor.batch({"item": 1}.values())  # type: ignore[arg-type]
    processor.batch_as_completed([1])  # type: ignore[list-item]
    processor.observe(reactivex.of(1))  # type: ignore[arg-type]
    await processor.process_single(1, 0)  # type: ignore[arg-type]
    await DynamicBatchProcessor(ask).process([1])  # type: ignore[list-item]
    result = (await processor.batch(["a"]))[0]
    result.output.score  # type: ignore[union-attr]
    result.output = "text"  # type: ignore[assignment]
    BatchProcessor[int, Answer](ask)  # type: ignore[arg-type]
    BatchProcessor(ask, trace="yes")  # type: ignore[call-overload]
    BatchProcessor(ask, key="text")  # type: ignore[call-overload]
    BatchProcessor(ask, key=lambda text: text.nothing)  # type: ignore[arg-type]
    BatchProcessor[str, Answer](ask, key=judge)  # type: ignore[arg-type]
    BatchProcessor(ask, failed_to=5)  # type: ignore[call-overload]
    BatchProcessor[str, Answer](ask, failed_to=judge)  # type: ignore[arg-type]


async def typed_nodes(node: FunctionNode[str, Answer]) -> None:
    await node.run(5)  # type: ignore[arg-type]
    (await node.run("a")).nothing  # type: ignore[attr-defined]
    node | ask  # type: ignore[operator]
    node | node  # type: ignore[operator]
    node | FunctionNode(ask)  # type: ignore[arg-type]
    judge | node  # type: ignore[operator]
    node.pipe(timeout)  # type: ignore[arg-type]
    (await node.pipe(fallback(give_up)).run("a")).score  # type: ignore[union-attr]
    wider: BaseNode[object, Answer] = node  # type: ignore[assignment]
    narrower: BaseNode[str, float] = node | Ask  # type: ignore[assignment]
    Ask() | timeout(5)  # type: ignore[operator]
    print(wider, narrower)


async def typed_stages(answers: MapNode[str, Answer], judged: MapNode[Answer, float]) -> None:
    MapNode()  # type: ignore[call-overload]
    MapNode("map")  # type: ignore[call-overload]
    FilterNode("filter", input_key="items")  # type: ignore[call-overload]
    ReduceNode(initial_value=5)  # type: ignore[call-overload]
    judged | answers  # type: ignore[operator]
    answers | FilterNode[str]("filter", bool)  # type: ignore[operator]
    load_numbers | answers  # type: ignore[operator]
    FunctionNode(load_numbers) | answers  # type: ignore[operator]
    answers.stream([1])  # type: ignore[list-item]
    answers.observe([1])  # type: ignore[list-item]
    await answers.run({"items": ["a"]}, checkpoint=5)  # type: ignore[arg-type]
    (answers | judged).stream([1])  # type: ignore[list-item]
    sure: FilterNode[Answer] = FilterNode("sure", lambda answer: answer.nothing)  # type: ignore[attr-defined]
    async for answer in answers.stream(["a"]):
        answer.nothing  # type: ignore[attr-defined]
    reactivex.of(1).pipe(answers.as_operator())  # type: ignore[arg-type]
    reactivex.of(1).pipe(flat_map(ask))  # type: ignore[arg-type]
    FlakyService(latency="1")  # type: ignore[arg-type]
    FlakyService(when_full="queue")  # type: ignore[arg-type]
    check_stage(5)  # type: ignore[arg-type]
    Dashboard(judge)  # type: ignore[arg-type]
    instrument(judge)  # type: ignore[arg-type]
    instrument(tracer_provider="otlp")  # type: ignore[arg-type]
    print(sure)
