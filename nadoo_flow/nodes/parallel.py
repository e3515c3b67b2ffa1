"""Several nodes on the same input at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from functools import partial
from typing import Any, Literal, TypeAlias, overload

from .._support.checks import describe_value, is_list_like
from .._support.tasks import OwnedTask, end_and_join, raise_fatal, start_owned
from .._support.typevars import Input, Next, Output
from .context import NodeContext, NodeResult, WorkflowContext
from .execution import answer_safely, as_result, make_item_failure
from .node import BaseNode, NodeLike, as_node
from .usage import add_usage

_Tasks: TypeAlias = dict[OwnedTask[Any], BaseNode]


class ParallelStrategy(Enum):
    """What a ParallelNode waits for.

    Example:
        >>> quickest = ParallelNode([FunctionNode(str.upper)], strategy=ParallelStrategy.ANY)
        >>> asyncio.run(quickest.run("hello"))
        'HELLO'
    """

    ALL = "all"
    """All must succeed; the first failure cancels the others."""
    ALL_SETTLED = "all_settled"
    """All are waited for; it fails only if all failed."""
    RACE = "race"
    """The first to settle decides, by success or failure; the others are cancelled."""
    ANY = "any"
    """The first to succeed decides; the others are cancelled. It fails only if all failed."""


class ParallelNode(BaseNode[Input, Output]):
    """Give one input to several nodes at the same time.

    The output is ``{node_id: output}`` of the nodes that succeeded, in the order of ``nodes``. For
    RACE and ANY it is the output of the winner, whose id is ``metadata["winner"]``.
    ``metadata["errors"]`` holds the failures by node id. Nodes that lose are cancelled, and their
    ``finally`` blocks have run when the node returns.

    Args:
        nodes: Nodes or functions; their ids must differ.
        strategy: What to wait for.
        node_id: Defaults to the class name.

    Raises:
        ValueError: If there are no nodes, or two with the same id.

    Example:
        >>> both = ParallelNode([FunctionNode(str.upper, "upper"), FunctionNode(len, "length")])
        >>> asyncio.run(both.run("hello"))
        {'upper': 'HELLO', 'length': 5}
    """

    @overload
    def __init__(
        self: ParallelNode[Input, dict[str, Next]],
        nodes: Sequence[BaseNode[Input, Next]],
        strategy: Literal[ParallelStrategy.ALL, ParallelStrategy.ALL_SETTLED] = ...,
        node_id: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        nodes: Sequence[BaseNode[Input, Output]],
        strategy: Literal[ParallelStrategy.RACE, ParallelStrategy.ANY],
        node_id: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: ParallelNode[Any, Any],
        nodes: Sequence[NodeLike],
        strategy: ParallelStrategy = ...,
        node_id: str | None = None,
    ) -> None: ...
    def __init__(
        self,
        nodes: Sequence[NodeLike],
        strategy: ParallelStrategy = ParallelStrategy.ALL,
        node_id: str | None = None,
    ) -> None:
        super().__init__(node_id)
        if not is_list_like(nodes):
            raise TypeError(f"nodes must be a list of nodes, got {describe_value(nodes)}")
        if not isinstance(strategy, ParallelStrategy):
            raise TypeError(f"strategy must be a ParallelStrategy, got {describe_value(strategy)}")
        self.nodes = tuple(as_node(node, "each of nodes") for node in nodes)
        self.strategy = strategy
        if not self.nodes:
            raise ValueError("nodes must hold at least one node")
        ids = [node.node_id for node in self.nodes]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"nodes must have different ids, got more than one {twice[0]!r}")

    def _describe_detail(self) -> str:
        return f"{self.strategy.value} of {', '.join(node.node_id for node in self.nodes)}"

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Run the nodes, each in a task and with a NodeContext of its own.

        Args:
            node_context: Its input is the input of each node.
            workflow_context: Shared by the nodes.
        """
        tasks: _Tasks = {}
        for node in self.nodes:
            call = partial(
                answer_safely,
                node._bind(workflow_context),
                node_context.input_data,
                make_item_failure,
            )
            tasks[start_owned(call)] = node
        settled: dict[str, NodeResult] = {}
        try:
            decisive = await self._settle(tasks, settled)
        finally:
            try:
                await end_and_join(tasks)
            finally:
                raise_fatal(tasks)
        if self.strategy in (ParallelStrategy.RACE, ParallelStrategy.ANY):
            result = self._answer_of_one(decisive, settled)
        else:
            result = self._answer_of_all(decisive, settled)
        return add_usage(result, settled.values())

    async def _settle(self, tasks: _Tasks, settled: dict[str, NodeResult]) -> str | None:
        """Collect results as they come; return the id of the node that decided early, if any."""
        pending = set(tasks)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            # Of those that settled at the same time the first in `nodes` counts.
            for task in (task for task in tasks if task in done):
                node_id, result = tasks[task].node_id, as_result(task.result())
                settled[node_id] = result
                if self._decides(result):
                    return node_id
        return None

    def _decides(self, result: NodeResult) -> bool:
        match self.strategy:
            case ParallelStrategy.ALL:
                return not result.success
            case ParallelStrategy.ALL_SETTLED:
                return False
            case ParallelStrategy.RACE:
                return True
            case ParallelStrategy.ANY:
                return result.success

    def _answer_of_one(self, winner: str | None, settled: dict[str, NodeResult]) -> NodeResult:
        metadata: dict[str, Any] = {"winner": winner, "errors": _collect_errors(settled)}
        if winner is None:
            return _make_failure(settled, metadata)
        result = settled[winner]
        if result.success:
            return NodeResult(True, result.output, None, metadata)
        return _make_failure({winner: result}, metadata)

    def _answer_of_all(
        self, first_failed: str | None, settled: dict[str, NodeResult]
    ) -> NodeResult:
        metadata: dict[str, Any] = {"errors": _collect_errors(settled)}
        if first_failed is not None:
            return _make_failure({first_failed: settled[first_failed]}, metadata)
        ids = [node.node_id for node in self.nodes if settled[node.node_id].success]
        if not ids:
            return _make_failure(settled, metadata)
        return NodeResult(True, {name: settled[name].output for name in ids}, None, metadata)


def _collect_errors(settled: dict[str, NodeResult]) -> dict[str, str | None]:
    return {name: result.error for name, result in settled.items() if not result.success}


def _make_failure(settled: dict[str, NodeResult], metadata: dict[str, Any]) -> NodeResult:
    """Make one failure of one or more failed nodes."""
    error = "; ".join(f"node {name!r}: {error}" for name, error in _collect_errors(settled).items())
    exception = next((result.exception for result in settled.values() if result.exception), None)
    return NodeResult(False, None, error, metadata, exception)
