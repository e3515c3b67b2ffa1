"""The policy ``fallback``: when a node fails, the next one answers."""

from __future__ import annotations

from typing import Any, overload

from .._support.typevars import Next
from ..nodes.context import NodeContext, NodeResult, WorkflowContext
from ..nodes.execution import execute_safely
from ..nodes.node import AsyncFunction, BaseNode, Function, NodeLike, ResultFunction, as_node
from .wrapper import FunctionPolicy, NodePolicy, PolicyNode


@overload
def fallback(*others: BaseNode[Any, Next]) -> NodePolicy[Next]: ...
@overload
def fallback(other: ResultFunction, /) -> NodePolicy[Any]: ...
@overload
def fallback(other: AsyncFunction[Any, Next], /) -> NodePolicy[Next]: ...
@overload
def fallback(other: Function[Any, Next], /) -> NodePolicy[Next]: ...
@overload
def fallback(*others: NodeLike) -> NodePolicy[Any]: ...
def fallback(*others: NodeLike) -> NodePolicy[Any]:
    """Let the next node answer when one fails.

    ``metadata["fallback"]`` is the id of the node that answered, if it was not the first. If all
    fail, the error names each failure, and the exception is the last one's.

    Args:
        others: At least one node or function, in the order in which they are asked.
    """
    if not others:
        raise ValueError("others must hold at least one node")
    nodes = tuple(as_node(other, "each of others") for other in others)
    ids = ", ".join(repr(node.node_id) for node in nodes)
    return FunctionPolicy(lambda node: FallbackNode(node, nodes), f"fallback({ids})")


class FallbackNode(PolicyNode):
    """A node with others that answer in its place."""

    def __init__(self, node: NodeLike, others: tuple[BaseNode, ...]) -> None:
        super().__init__(node)
        self.others = others
        if any(other.isolate == "task" for other in others):
            self.isolate = "task"

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Ask one after the other until one succeeds."""
        result = await self.attempt(node_context, workflow_context)
        if result.success:
            return result
        errors = [f"node {self.node_id!r}: {result.error}"]
        for other in self.others:
            context = NodeContext(node_context.input_data)
            result = await execute_safely(other.execute, context, workflow_context)
            if result.success:
                return result.with_metadata(fallback=other.node_id)
            errors.append(f"node {other.node_id!r}: {result.error}")
        return NodeResult(False, None, "; ".join(errors), result.metadata, result.exception)
