"""Misuses that a strict type checker must reject; it reads this file, nobody runs it.

Every ignore stands for an error that must be reported: one that is not needed is an error itself.
"""

from __future__ import annotations

from typing import Any

import nadoo_flow
from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
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
from nadoo_flow.operators import flat_map


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
    nadoo_flow.Nodes  # type: ignore[attr-defined]  # noqa: B018


async def nodes(node: BaseNode) -> None:
    BaseNode(5)  # type: ignore[arg-type]
    BaseNode("id", "kind")  # type: ignore[call-arg]
    FunctionNode("upper")  # type: ignore[arg-type]
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
    BatchProcessor()  # type: ignore[call-arg]
    BatchProcessor("node")  # type: ignore[arg-type]
    BatchProcessor(node, max_concurrency="5")  # type: ignore[arg-type]
    BatchProcessor(node, max_concurrency=2.5)  # type: ignore[arg-type]
    BatchProcessor(node, continue_on_error=None)  # type: ignore[arg-type]
    await processor.batch(5)  # type: ignore[arg-type]
    await processor.batch_as_completed([1])  # type: ignore[misc]
    for _ in processor.batch_as_completed([1]):  # type: ignore[attr-defined]
        pass
    processor.batch_as_completed([1], overflow="drop")  # type: ignore[arg-type]
    processor.process_single({}, 0).success  # type: ignore[attr-defined]  # noqa: B018


def results(result: BatchResult) -> None:
    result.index = "7"  # type: ignore[assignment]
    result.outputs  # type: ignore[attr-defined]  # noqa: B018
    result.error.upper()  # type: ignore[union-attr]


def stages(stage: MapNode) -> None:
    MapNode("map", 5)  # type: ignore[arg-type]
    MapNode("map", len, max_concurrency=None)  # type: ignore[arg-type]
    FilterNode("filter", 5)  # type: ignore[arg-type]
    FilterNode("filter", lambda: True)  # type: ignore[arg-type, misc]
    ReduceNode("reduce", lambda item: item)  # type: ignore[arg-type, misc]
    ParallelNode(5)  # type: ignore[arg-type]
    ParallelNode([5])  # type: ignore[list-item]
    ParallelNode([len], "all")  # type: ignore[arg-type]
    stage.as_operator(True)  # type: ignore[call-arg]
    stage.stream(5)  # type: ignore[arg-type]
    stage.stream([1], False)  # type: ignore[call-arg]
    flat_map(5)  # type: ignore[arg-type]
    flat_map(len, ordered="yes")  # type: ignore[arg-type]
