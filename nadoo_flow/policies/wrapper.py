"""The base of all policies: a node around a node."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, Never, TypeAlias

from typing_extensions import TypeVar, override

from .._support.typevars import Input, Output
from ..nodes.context import NodeContext, NodeResult, WorkflowContext, as_input
from ..nodes.execution import Bound, answer_safely, as_result
from ..nodes.node import BaseNode, BoundNode, NodeLike, as_node, inherits
from ..nodes.policy import PolicyMark

Instead = TypeVar("Instead", default=Never)

Bind: TypeAlias = Callable[[BaseNode], Bound]
"""Binds a node for one run, either for single answers or for many outputs."""


class NodePolicy(PolicyMark, Generic[Instead]):
    """A policy that makes a node around each node or function that it is applied to.

    ``Instead`` is the type of the outputs that the policy may give in place of the node's own.
    """

    # Subclasses define wrap() and inherit this: only of policies that have it in common does mypy
    # find out what a node.pipe() of several of them gives.
    def __call__(self, node: NodeLike[Input, Output]) -> BaseNode[Input, Output | Instead]:
        """Wrap a node."""
        return self.wrap(node)

    def wrap(self, node: NodeLike) -> BaseNode:
        """Make the node around another; a subclass writes this."""
        raise NotImplementedError(f"{type(self).__name__} must define wrap()")


class FunctionPolicy(NodePolicy[Instead]):
    """A policy that a function makes up.

    Args:
        wrap: Makes the node around another.
        text: The ``repr`` of the policy.
    """

    def __init__(self, wrap: Callable[[NodeLike], BaseNode], text: str) -> None:
        self._wrap = wrap
        self._text = text

    @override
    def wrap(self, node: NodeLike) -> BaseNode:
        return self._wrap(node)

    def __repr__(self) -> str:
        return self._text


class PolicyNode(BoundNode):
    """A node around another, with the id of that one, so that errors name the real node.

    Args:
        node: The node or function inside.
    """

    def __init__(self, node: NodeLike) -> None:
        node = as_node(node, "node")
        super().__init__(node.node_id, node_type=node.node_type, name=node.name, config=node.config)
        self.node = node
        self.isolate = node.isolate
        self.yields = node.yields

    async def attempt(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Execute the node inside once, on a NodeContext of its own; failures are results."""
        bound = self.node._bind(workflow_context)
        return as_result(await answer_safely(bound, node_context.input_data))

    def _bind_around(self, attempt: Bound, bind: Bind) -> Bound:
        """Wrap the node inside in the policy; a policy writes this.

        Args:
            attempt: Executes the node inside once.
            bind: Binds another node for what ``attempt`` was bound for. If these are many outputs,
                they go out during an attempt, and the input is a :class:`ManyInput`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define execute()")

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        def bind(node: BaseNode) -> Bound:
            return node._bind(workflow_context)

        return self._bind_around(self._bind_attempt(workflow_context), bind)

    def _bind_many_directly(self, workflow_context: WorkflowContext) -> Bound:
        if not inherits(self, PolicyNode, "attempt", "_bind_directly"):
            return super()._bind_many_directly(workflow_context)

        def bind(node: BaseNode) -> Bound:
            return node._bind_many(workflow_context)

        return self._bind_around(bind(self.node), bind)

    def _bind_attempt(self, workflow_context: WorkflowContext) -> Bound:
        """Bind what executes the node inside once."""
        if inherits(self, PolicyNode, "attempt"):
            return self.node._bind(workflow_context)

        def attempt(value: Any) -> Coroutine[Any, Any, NodeResult]:
            return self.attempt(NodeContext(as_input(value)), workflow_context)

        return Bound(attempt, gives_output=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.node!r})"
