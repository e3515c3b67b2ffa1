"""Lines that are no input, which fail in the place of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...nodes.context import NodeResult, WorkflowContext
from ...nodes.execution import Bound
from ...nodes.node import BaseNode
from ...policies.wrapper import PolicyNode


@dataclass(frozen=True)
class BadLine:
    """What stands in the place of an input that could not be read.

    Attributes:
        text: The line, or what else there is of the input.
        line: The number of the line.
        error: Why it is no input, with the number of the line.
    """

    text: str
    line: int
    error: str


class RefuseBadLines(PolicyNode):
    """A node that fails for bad lines, without an execution of the node or its policies inside."""

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        call, gives_output = self._bind_attempt(workflow_context)

        def refuse_or_call(value: Any) -> Any:
            if type(value) is BadLine:
                return NodeResult(False, None, value.error, {"line": value.line})
            return call(value)

        return Bound(refuse_or_call, gives_output)


def refuse_bad_lines(node: BaseNode) -> BaseNode:
    """Wrap a node and its policies, so that bad lines do not reach them."""
    return RefuseBadLines(node)
