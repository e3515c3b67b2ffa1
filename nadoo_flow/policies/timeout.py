"""The policy ``timeout``: fail an item that takes too long."""

from __future__ import annotations

import asyncio
from functools import partial
from types import CoroutineType
from typing import Any, cast

from .._support.checks import check_bool, check_positive_number
from .._support.per_loop import PerLoop
from ..nodes.execution import Bound, make_failure
from ..nodes.many import ManyInput
from ..nodes.node import NodeLike
from .allowance import Allowance
from .deadlines import Deadline, Deadlines
from .stopwatch import watch_outputs
from .wrapper import Bind, FunctionPolicy, NodePolicy, PolicyNode


def timeout(seconds: float, *, each: bool = False) -> NodePolicy:
    """Fail an item with a TimeoutError if it takes longer.

    The item is cancelled, and its ``finally`` blocks have run before the failure is reported and
    its slot is used again. A node that swallows the cancellation fails too, when it ends.

    A run that is cancelled lets the node clean up, however long that takes. Around a node that is
    executed by itself the limit goes on meanwhile: when it passes, it cancels the clean-up too, as
    ``asyncio.timeout`` does, since the caller's cancel cannot be told from one that the node has
    swallowed. ``check_policy`` reports that as R4 if it is given a limit of less than some seconds.

    In a ``FlatMapNode`` the time in which outputs wait until they are wanted does not count.

    Args:
        seconds: Seconds for one execution of all that is inside the policy; of a generator, for all
            its outputs together.
        each: Whether a generator in a ``FlatMapNode`` has the seconds anew for each next output.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> node = FunctionNode(asyncio.sleep).pipe(timeout(5))
        >>> results = asyncio.run(BatchProcessor(node).batch([1, 60]))
        >>> results[0].success, type(results[1].exception)
        (True, <class 'TimeoutError'>)
    """
    seconds = check_positive_number(seconds, "seconds")
    text = f"timeout({seconds:g}{', each=True' if check_bool(each, 'each') else ''})"
    return FunctionPolicy(lambda node: TimeoutNode(node, seconds, each), text)


class TimeoutNode(PolicyNode):
    """A node with a time limit."""

    def __init__(self, node: NodeLike, seconds: float, each: bool) -> None:
        super().__init__(node)
        self.seconds = seconds
        self.each = each
        self._deadlines: PerLoop[Deadlines[Deadline]] = PerLoop()

    def _bind_around(self, attempt: Bound, bind: Bind) -> Bound:
        call, gives_output = attempt
        deadlines = self._deadlines.get(partial(Deadlines, self.seconds))
        loop = asyncio.get_running_loop()
        late = f"{'no output' if self.each else 'not finished'} within {self.seconds:g} s"

        async def call_within_limit(value: Any) -> Any:
            # Without its argument this is slow on Python 3.11.
            task = cast("asyncio.Task[Any]", asyncio.current_task(loop))
            before = task.cancelling()
            deadline: Deadline | Allowance
            if type(value) is ManyInput:
                deadline = Allowance(task, self.seconds, each=self.each, late=late)
                value = watch_outputs(value, deadline)
            else:
                deadline = Deadline(task)
                deadlines.add(deadline)
            try:
                answer = call(value)
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
                if isinstance(deadline, Deadline):
                    deadlines.discard(deadline)
                else:
                    deadline.discard()
                # Or the traceback of a failure would keep the task, and with it the whole run.
                del task, deadline, value
            raise TimeoutError(late)

        return Bound(call_within_limit, gives_output)
