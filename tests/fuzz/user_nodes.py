"""Node classes as users write them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nadoo_flow import BaseNode, NodeContext, NodeResult, WorkflowContext

from .case import Nested
from .ledger import Ledger
from .model import fate_of_stages
from .values import get_bare, nested_items


class OwnNode(BaseNode):
    """A node that answers what a function answers; what is no result is its output."""

    def __init__(self, node_id: str, work: Callable[[Any], Awaitable[Any]], ledger: Ledger) -> None:
        super().__init__(node_id)
        self._work = work
        self._ledger = ledger

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        self._ledger.share(workflow_context)
        answer = await self._work(get_bare(node_context.input_data))
        if answer is None or isinstance(answer, NodeResult):
            return answer  # type: ignore[return-value]  # a wrong answer is what some are for
        return NodeResult(True, answer)


class NestedNode(BaseNode):
    """A node that runs list stages over items of its own, and checks what comes out."""

    def __init__(self, nested: Nested, inner: BaseNode, ledger: Ledger) -> None:
        super().__init__()
        self._nested = nested
        self._inner = inner
        self._ledger = ledger

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        value = get_bare(node_context.input_data)
        items, stages = nested_items(value, self._nested.length), self._nested.stages
        result = await self._inner.execute(NodeContext({"items": items}), workflow_context)
        if not result.success:
            return result
        outcome, got = fate_of_stages(stages, items, None), result.output["items"]
        if stages[-1].kind == "reduce":
            got = [got]
        if outcome is not None and repr(got) != repr(outcome.values):
            self._ledger.find(f"wrong items came out inside: {got}; right are {outcome.values}")
        return NodeResult(True, value)
