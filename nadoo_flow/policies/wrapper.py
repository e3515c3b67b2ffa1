"""The base of all policies: a node around a node."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ..nodes.context import NodeContext, NodeResult, WorkflowContext
from ..nodes.execution import execute_safely
from ..nodes.node import BaseNode, NodeLike, as_node
from ..nodes.policy import PolicyMark


class NodePolicy(PolicyMark):
    """A policy that makes a node around each node or function that it is applied to.

    Args:
        wrap: Makes the node around another.
        text: The ``repr`` of the policy.
    """

    def __init__(self, wrap: Callable[[NodeLike], BaseNode], text: str) -> None:
        self._wrap = wrap
        self._text = text

    def __call__(self, node: NodeLike) -> BaseNode:
        """Wrap a node."""
        return self._wrap(node)

    def __repr__(self) -> str:
        return self._text


class PolicyNode(BaseNode):
    """A node around another, with the id of that one, so that errors name the real node.

    Args:
        node: The node or function inside.
    """

    def __init__(self, node: NodeLike) -> None:
        node = as_node(node, "node")
        super().__init__(node.node_id, node_type=node.node_type, name=node.name, config=node.config)
        self.node = node
        self.isolate = node.isolate

    def attempt(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> Coroutine[Any, Any, NodeResult]:
        """Execute the node inside once, on a NodeContext of its own; failures are results."""
        return execute_safely(
            self.node.execute, NodeContext(node_context.input_data), workflow_context
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.node!r})"
