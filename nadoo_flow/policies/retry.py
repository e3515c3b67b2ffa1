"""The policy ``retry``: try an item again when it fails."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

from .._support.backoff import Wait, as_wait
from .._support.checks import (
    check_positive_int,
    check_positive_number,
    describe_value,
)
from .._support.tasks import leave_out_caller
from ..events.item import report_retry
from ..nodes.context import NodeResult
from ..nodes.execution import Bound, answer_safely, as_result, check_answer, make_failure
from ..nodes.many import has_given_outputs
from ..nodes.node import NodeLike
from ..nodes.usage import add_usage
from .failures import Failures, get_exception, make_predicate
from .retry_budget import RetryBudget
from .signals import read_retry_after
from .wrapper import Bind, FunctionPolicy, NodePolicy, PolicyNode

if TYPE_CHECKING:
    from tenacity import RetryCallState


def retry(
    attempts: int = 3,
    wait: Wait | None = None,
    retry_on: Failures = Exception,
    *,
    give_up_on: Failures = (),
    longest_wait: float = 300.0,
    budget: RetryBudget | None = None,
) -> NodePolicy:
    """Try an item again when it fails, by an exception or a ``success=False``, on tenacity.

    Items are retried independently: one that waits occupies its slot and delays no other. The
    result is that of the last try, with ``metadata["attempts"]``. In a ``FlatMapNode`` a failure
    after the first output is final, since that has gone out.

    Args:
        attempts: Most tries, the first included.
        wait: Seconds between two tries, or any tenacity wait strategy. The default is an
            exponential backoff with jitter: about 1, 2, 4, … seconds, at most 60. A failure that
            carries a retry-after time (an attribute ``retry_after``, a Retry-After header of its
            ``response``, or ``metadata["retry_after"]``) is waited for at least that long.
        retry_on: Which failures are worth another try: exception classes, or a predicate on the
            exception. A failure without an exception counts as a :class:`NodeError`.
        give_up_on: Which failures are final all the same, such as a wrong key.
        longest_wait: Seconds. A failure that asks for a longer wait is final, and says so.
        budget: Limits the retries of all that share it. A failure beyond it is final, and says so.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> failures = [ConnectionError("reset")]
        >>> def ask(data):
        ...     if failures:
        ...         raise failures.pop()
        ...     return "hello"
        >>> node = FunctionNode(ask).pipe(retry(attempts=3, wait=1.0, retry_on=ConnectionError))
        >>> asyncio.run(node.run({}))
        'hello'
    """
    attempts = check_positive_int(attempts, "attempts")
    worth = make_predicate(retry_on, "retry_on")
    hopeless = make_predicate(give_up_on or _NeverRaisedError, "give_up_on")
    longest_wait = check_positive_number(longest_wait, "longest_wait")
    if budget is not None and not isinstance(budget, RetryBudget):
        raise TypeError(f"budget must be a RetryBudget, got {describe_value(budget)}")
    rules = RetryRules(
        attempts,
        as_wait(wait),
        lambda error: worth(error) and not hopeless(error),
        longest_wait,
        budget,
    )
    return FunctionPolicy(lambda node: RetryNode(node, rules), f"retry(attempts={attempts})")


@dataclass(frozen=True)
class RetryRules:
    """When a node is tried again.

    Attributes:
        attempts: Most tries.
        wait: The seconds before the next.
        is_worth: Whether a failure is worth another try.
        longest_wait: Most seconds that a failure may ask for.
        budget: Limits the retries of all that share it.
    """

    attempts: int
    wait: Callable[[RetryCallState], float]
    is_worth: Callable[[BaseException], bool]
    longest_wait: float
    budget: RetryBudget | None


class _NeverRaisedError(Exception):
    """What no node raises."""


class RetryNode(PolicyNode):
    """A node that is tried again when it fails."""

    def __init__(self, node: NodeLike, rules: RetryRules) -> None:
        super().__init__(node)
        self.attempts = rules.attempts
        self.budget = rules.budget
        self._rules = rules

    def _bind_around(self, attempt: Bound, bind: Bind) -> Bound:
        call, gives_output = attempt
        budget = self._rules.budget

        async def attempt_until_success(value: Any) -> NodeResult:
            if budget is not None:
                budget.note_call()
            # What answer_safely() does, whose call would be paid for each item.
            try:
                answer = call(value)
                if type(answer) is CoroutineType:
                    answer = await answer
                answer = check_answer(answer, gives_output)
            except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                answer = make_failure(leave_out_caller(error))
            if not isinstance(answer, NodeResult):
                return NodeResult(True, answer, None, {"attempts": 1})
            result, attempts = answer, 1
            # tenacity is used only when a try has failed, because it would slow every success down.
            if self._is_worth_a_retry(result, value):
                again = partial(answer_safely, attempt, value)
                result, attempts = await self._try_again(result, value, again)
            return result.with_metadata(attempts=attempts)

        return Bound(attempt_until_success, gives_output=False)

    async def _try_again(
        self, first: NodeResult, value: Any, attempt: Callable[[], Awaitable[Any]]
    ) -> tuple[NodeResult, int]:
        from tenacity import AsyncRetrying, retry_if_result

        tried, result, refusal = 0, first, ""
        failed_tries: list[NodeResult] = []

        async def next_try() -> NodeResult:
            nonlocal tried, result
            tried += 1
            if tried > 1:
                report_retry(result.error)
                failed_tries.append(result)
                result = as_result(await attempt())
            return result

        def is_to_be_tried_again(failed: NodeResult) -> bool:
            nonlocal refusal
            if tried >= self.attempts or not self._is_worth_a_retry(failed, value):
                return False
            refusal = self._refuse(failed)
            return not refusal

        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            wait=self._choose_wait,
            retry=retry_if_result(is_to_be_tried_again),
        )
        last: NodeResult = await retrying(next_try)
        last = add_usage(last, failed_tries)
        return (_explain(last, refusal) if refusal else last), tried

    def _refuse(self, failed: NodeResult) -> str:
        """Say why a failure that is worth another try gets none, if it does not."""
        asked, longest = read_retry_after(failed), self._rules.longest_wait
        budget = self._rules.budget
        if asked > longest:
            return f"{asked:,.4g} s were asked for, the longest wait is {longest:g} s"
        if budget is not None and not budget.take():
            return f"the budget of retries is spent: {budget!r}"
        return ""

    def _is_worth_a_retry(self, result: NodeResult, value: Any) -> bool:
        if result.success or has_given_outputs(value):
            return False
        return self._rules.is_worth(get_exception(result, self.node_id))

    def _choose_wait(self, state: RetryCallState) -> float:
        result = _get_last_result(state)
        # Strategies that look at the failure expect an exception and not our result.
        failed = copy.copy(state)
        error = get_exception(result, self.node_id)
        failed.set_exception((type(error), error, error.__traceback__))
        return max(self._rules.wait(failed), read_retry_after(result))


def _get_last_result(state: RetryCallState) -> NodeResult:
    assert state.outcome is not None
    return cast(NodeResult, state.outcome.result())


def _explain(failed: NodeResult, refusal: str) -> NodeResult:
    error = f"{failed.error}; not tried again: {refusal}"
    return NodeResult(False, None, error, failed.metadata, failed.exception)
