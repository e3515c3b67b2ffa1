"""The policy ``hedge``: execute a node a second time when the first execution is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from types import CoroutineType
from typing import Any, cast

from .._support.checks import check_positive_number
from .._support.clock import get_clock
from .._support.tasks import (
    FatalError,
    OwnedTask,
    cancel_as_work,
    end_and_join,
    is_ended_by_owner,
    raise_fatal,
    start_owned,
)
from ..nodes.context import NodeResult, WorkflowContext
from ..nodes.execution import (
    Bound,
    answer_safely,
    as_result,
    check_answer,
    make_failure,
    make_item_failure,
)
from ..nodes.node import NodeLike
from ..nodes.usage import add_usage
from .deadlines import Deadlines
from .slowness import FixedDelay, SlowestOfLast, Slowness
from .wrapper import FunctionPolicy, NodePolicy, PolicyNode

MOST_CREDIT = 10.0
"""Second executions that calls without one can save up at most, so that a service which becomes
slow does not get twice the calls at first."""


def hedge(
    after: float | None = None, *, percentile: float | None = None, ratio: float = 0.05
) -> NodePolicy:
    """Execute a node a second time when the first execution is slow; the first success answers.

    The other execution is cancelled, and its ``finally`` blocks have run before the answer goes on.
    If one fails, the other is waited for; if both do, the failure is that of the first. The node
    must be one that may be executed twice for one input. The answer of a second execution has
    ``metadata["hedged"] = True``. The idea is from "The Tail at Scale" (Dean and Barroso, 2013).

    Args:
        after: Seconds after which an execution is slow.
        percentile: Instead of ``after``: an execution is slow when it takes longer than so many
            percent of the last 500 did. At least 20 must have succeeded before.
        ratio: Most second executions as a part of the calls. One is allowed from the beginning.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if not exactly one of ``after`` and ``percentile`` is given, or a
            number is out of its range.

    Example:
        >>> durations = iter([60, 1])
        >>> async def ask(data):
        ...     await asyncio.sleep(next(durations))
        ...     return data
        >>> asyncio.run(FunctionNode(ask).pipe(hedge(after=2)).run("hello"))  # after 3 seconds
        'hello'
    """
    make_slowness: Callable[[], Slowness]
    if (after is None) == (percentile is None):
        given = f"after={after!r} and percentile={percentile!r}"
        raise ValueError(f"hedge() needs either after or percentile, got {given}")
    if after is not None:
        seconds = check_positive_number(after, "after")
        make_slowness, text = partial(FixedDelay, seconds), f"after={seconds:g}"
    else:
        percent = check_positive_number(percentile, "percentile")
        if percent >= 100:
            raise ValueError(f"percentile must be below 100, got {percentile}")
        make_slowness, text = partial(SlowestOfLast, percent), f"percentile={percent:g}"
    ratio = check_positive_number(ratio, "ratio")
    if ratio > 1:
        raise ValueError(f"ratio must be at most 1, got {ratio}")
    return FunctionPolicy(lambda node: HedgeNode(node, make_slowness(), ratio), f"hedge({text})")


class HedgeNode(PolicyNode):
    """A node that is executed a second time when it is slow."""

    def __init__(self, node: NodeLike, slowness: Slowness, ratio: float) -> None:
        super().__init__(node)
        self.ratio = ratio
        self._slowness = slowness
        self._credit = 1.0

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        attempt = self._bind_attempt(workflow_context)
        call, gives_output = attempt
        slowness, loop = self._slowness, asyncio.get_running_loop()
        time = get_clock(loop)
        deadlines: Deadlines[_Race] | None = None

        async def attempt_hedged(value: Any) -> Any:
            nonlocal deadlines
            if self._credit < MOST_CREDIT:
                self._credit += self.ratio
            delay, started = slowness.delay, time()
            # Without its argument this is slow on Python 3.11.
            task = cast("asyncio.Task[Any]", asyncio.current_task(loop))
            race = _Race(task, attempt, value, self._take_credit)
            if delay is not None:
                if deadlines is None or deadlines.seconds != delay:
                    deadlines = Deadlines(delay)
                race.begin(deadlines)
            try:
                answer = call(value)
                if type(answer) is CoroutineType:
                    answer = await answer
            except BaseException as error:
                race.end_first()
                if race.second is None:
                    raise
                answer = await race.settle(error=error)
            else:
                race.end_first()
                if race.second is not None:
                    answer = await race.settle(answer)
            finally:
                # Or the traceback of a failure would keep the task, and with it the whole run.
                del task, race
            if not isinstance(answer, NodeResult) or answer.success:
                slowness.note(time() - started)
            return answer

        return Bound(attempt_hedged, gives_output)

    def _take_credit(self) -> bool:
        """Take a second execution out of what the calls so far allow, if there is one left."""
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


class _Race:
    """Two executions for one input, of which the first runs in the task of the caller.

    Attributes:
        second: The task of the second execution, once it has been started.
    """

    # Of the class, because few races come to a second execution, and each item makes one.
    second: OwnedTask[Any] | None = None
    _deadlines: Deadlines[_Race] | None = None
    _is_over = False
    _is_lost = False  # by the first execution, which is cancelled then

    def __init__(
        self, task: asyncio.Task[Any], attempt: Bound, value: Any, take_credit: Callable[[], bool]
    ) -> None:
        self._task = task
        self._cancellations = task.cancelling()
        self._attempt = attempt
        self._value = value
        self._take_credit = take_credit
        self._context = copy_context()

    def begin(self, deadlines: Deadlines[_Race]) -> None:
        """Have the second execution started at a deadline."""
        self._deadlines = deadlines
        deadlines.add(self)

    def expire(self) -> None:
        """Start the second execution."""
        if self._is_being_cancelled() or not self._take_credit():
            return
        call = partial(answer_safely, self._attempt, self._value, make_item_failure)
        self.second = self._context.run(start_owned, call)
        self.second.add_done_callback(self._on_second_ended)

    def _is_being_cancelled(self) -> bool:
        if isinstance(self._task, OwnedTask):
            return is_ended_by_owner(self._task)
        # Of a task of the caller's own nothing else says that it is to end.
        return self._task.cancelling() > self._cancellations

    def end_first(self) -> None:
        """Decide the race, if it is not decided yet: the first execution has ended."""
        self._is_over = True
        if self._deadlines is not None:
            self._deadlines.discard(self)

    async def settle(self, answer: Any = None, error: BaseException | None = None) -> Any:
        """Return the answer that counts, when the second execution has ended, too.

        Args:
            answer: That of the first execution.
            error: What the first execution raised, if it did.
        """
        assert self.second is not None
        try:
            first = self._take_first(answer, error)
            if not self._is_lost and _has_failed(first):
                await asyncio.wait([self.second])
        finally:
            try:
                await end_and_join([self.second])
            finally:
                raise_fatal([self.second])
        return self._choose(first, self.second)

    def _on_second_ended(self, second: asyncio.Task[Any]) -> None:
        if self._is_over or is_ended_by_owner(self._task) or not _is_decisive(second):
            return
        self._is_lost = True
        cancel_as_work(self._task)

    def _take_first(self, answer: Any, error: BaseException | None) -> Any:
        """Return the answer of the first execution, or None if it was cancelled as the loser."""
        left = self._task.uncancel() if self._is_lost else 0
        if error is None:
            try:
                return check_answer(answer, self._attempt.gives_output)
            except Exception as failure:
                return make_failure(failure)
        if (
            self._is_lost
            and isinstance(error, asyncio.CancelledError)
            and left <= self._cancellations
        ):
            return None
        return make_failure(error)

    def _choose(self, first: Any, second: OwnedTask[Any]) -> Any:
        if second.cancelled():
            return first
        other = as_result(second.result())
        if self._is_lost or (_has_failed(first) and other.success):
            earlier = [first] if isinstance(first, NodeResult) else []
            return add_usage(other.with_metadata(hedged=True), earlier)
        return add_usage(as_result(first), [other])


def _has_failed(answer: Any) -> bool:
    return isinstance(answer, NodeResult) and not answer.success


def _is_decisive(second: asyncio.Task[Any]) -> bool:
    if second.cancelled():
        return False
    error = second.exception()
    return isinstance(error, FatalError) if error is not None else not _has_failed(second.result())
