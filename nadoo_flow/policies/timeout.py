"""The policy ``timeout``: fail an item that takes too long."""

from __future__ import annotations

import asyncio
from functools import partial
from types import CoroutineType
from typing import Any, cast

from .._support.checks import check_positive_number
from .._support.per_loop import PerLoop
from ..nodes.context import WorkflowContext
from ..nodes.execution import Bound, make_failure
from ..nodes.node import NodeLike
from .deadlines import Deadline, Deadlines
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
        self._deadlines: PerLoop[Deadlines[Deadline]] = PerLoop()

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        attempt, gives_output = self._bind_attempt(workflow_context)
        deadlines = self._deadlines.get(partial(Deadlines, self.seconds))
        loop = asyncio.get_running_loop()

        async def attempt_within_limit(value: Any) -> Any:
            # Without its argument this is slow on Python 3.11.
            task = cast("asyncio.Task[Any]", asyncio.current_task(loop))
            before = task.cancelling()
            deadline = Deadline(task)
            deadlines.add(deadline)
            try:
                answer = attempt(value)
                if type(answer) is CoroutineType:
                    answer = await answer
                if not deadline.expired:
                    return answer
                task.uncancel()
            except asyncio.CancelledError:
                if not deadline.expired or task.uncancel() > before:
                    raise
            except (Exception, GeneratorExit) as error:
                if not deadline.expired:
                    raise
                make_failure(error)  # or raise what is no failure
                task.uncancel()
            finally:
                deadlines.discard(deadline)
                # Or the traceback of a failure would keep the task, and with it the whole run.
                del task, deadline
            raise TimeoutError(f"not finished within {self.seconds:g} s")

        return Bound(attempt_within_limit, gives_output)
