"""The policy ``timeout``: fail an item that takes too long."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from .._support.checks import check_positive_number
from .._support.tasks import is_ended_by_owner
from ..nodes.context import NodeContext, NodeResult, WorkflowContext
from ..nodes.node import NodeLike
from .wrapper import FunctionPolicy, NodePolicy, PolicyNode


def timeout(seconds: float) -> NodePolicy:
    """Fail an item with a TimeoutError if it takes longer.

    The item is cancelled, and its ``finally`` blocks have run before the failure is reported and
    its slot is used again. A node that swallows the cancellation fails too, when it ends.

    Args:
        seconds: Seconds for one execution of all that is inside the policy.
    """
    seconds = check_positive_number(seconds, "seconds")
    return FunctionPolicy(lambda node: TimeoutNode(node, seconds), f"timeout({seconds:g})")


class TimeoutNode(PolicyNode):
    """A node with a time limit."""

    def __init__(self, node: NodeLike, seconds: float) -> None:
        super().__init__(node)
        self.seconds = seconds

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Execute the node within the limit."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        before = task.cancelling()
        expired = False

        def expire() -> None:
            nonlocal expired
            # Not when the run is ending: a second cancel would interrupt the clean-up.
            if not is_ended_by_owner(task):
                expired = True
                task.cancel()

        # The same as asyncio.timeout(), in less than half the time.
        timer = asyncio.get_running_loop().call_later(self.seconds, expire)
        try:
            result = await self.attempt(node_context, workflow_context)
            if not expired:
                return result
            task.uncancel()
        except asyncio.CancelledError:
            if not expired or task.uncancel() > before:
                raise
        finally:
            timer.cancel()
        raise TimeoutError(f"not finished within {self.seconds:g} s")
