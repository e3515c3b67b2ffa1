"""The node that ``rate_limit`` makes with a budget: it starts only when there is room for it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import Any, TypeAlias

from .._support.checks import check_sync_function
from .._support.tasks import leave_out_caller
from ..errors import describe_error
from ..nodes.context import BARE, NodeResult, WorkflowContext, unwrap_item
from ..nodes.execution import Bound, as_result, check_answer, make_failure
from ..nodes.node import NodeLike
from .rate_budget import REQUESTS, RateBudget
from .signals import is_refusal, read_retry_after
from .sliding_window import Amounts
from .wrapper import FunctionPolicy, NodePolicy, PolicyNode

Estimate: TypeAlias = "Callable[[Any], Mapping[str, float]]"
"""Returns what an input is going to use."""
Actual: TypeAlias = "Callable[[NodeResult], Mapping[str, float]]"
"""Returns what a call has used."""


def stay_within(budget: RateBudget, estimate: Estimate | None, actual: Actual | None) -> NodePolicy:
    """Make the policy, and check what it is made of."""
    if estimate is not None:
        check_sync_function(estimate, "estimate")
    elif others := [unit for unit in budget.limits if unit != REQUESTS]:
        units = " and ".join(others)
        raise TypeError(
            f"estimate must be given, since nothing else says how many {units} a call needs"
        )
    if actual is not None:
        check_sync_function(actual, "actual")
    return FunctionPolicy(
        lambda node: RateBudgetNode(node, budget, estimate, actual), f"rate_limit({budget!r})"
    )


class RateBudgetNode(PolicyNode):
    """A node that waits until a budget has room for it."""

    def __init__(
        self,
        node: NodeLike,
        budget: RateBudget,
        estimate: Estimate | None,
        actual: Actual | None,
    ) -> None:
        super().__init__(node)
        self.budget = budget
        self.estimate = estimate
        self.actual = actual

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        call, gives_output = self._bind_attempt(workflow_context)
        budget, queue = self.budget, self.budget.get_queue()
        estimate, actual = self.estimate, self.actual

        async def attempt_within_budget(value: Any) -> Any:
            amounts = budget.least
            if estimate is not None:
                data = value if type(value) in BARE else unwrap_item(value)
                amounts = budget.read_amounts(_call(estimate, "estimate", data), "estimate")
            charge = queue.start_at_once(amounts)
            if charge is None:
                budget.check_that_it_fits(amounts)
                charge = await queue.start(amounts)
            # What answer_safely() does, whose call would be paid for each item.
            try:
                answer = call(value)
                if type(answer) is CoroutineType:
                    answer = await answer
                answer = check_answer(answer, gives_output)
            except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                answer = make_failure(leave_out_caller(error))
            if isinstance(answer, NodeResult) and not answer.success:
                self._pause_if_refused(answer)
            if actual is not None:
                used = self._read_used(actual, as_result(answer), amounts)
                if used != amounts:
                    queue.correct(charge, used)
            return answer

        return Bound(attempt_within_budget, gives_output=True)

    def _read_used(self, actual: Actual, result: NodeResult, estimated: Amounts) -> Amounts:
        try:
            return self.budget.read_amounts(_call(actual, "actual", result), "actual", estimated)
        except Exception:
            # A failed call often does not say what it used, and must not lose its own error.
            if result.success:
                raise
            return estimated

    def _pause_if_refused(self, failed: NodeResult) -> None:
        seconds = read_retry_after(failed)
        if seconds or is_refusal(failed):
            budget = self.budget
            budget.pause(min(seconds or budget.per / 10, budget.longest_wait))


def _call(function: Callable[[Any], Any], parameter: str, argument: Any) -> Any:
    try:
        returned = function(argument)
        if type(returned) is dict:
            return returned
        if isinstance(returned, Mapping):
            return dict(returned)
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        raise RuntimeError(f"{parameter} raised {describe_error(error)}") from error
    if inspect.iscoroutine(returned):
        returned.close()
    return returned
