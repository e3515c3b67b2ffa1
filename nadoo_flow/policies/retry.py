"""The policy ``retry``: try an item again when it fails."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from .._support.backoff import Wait, as_wait
from .._support.checks import check_positive_int, describe_value
from ..errors import NO_MESSAGE, NodeError
from ..events.event import report_retry
from ..nodes.context import NodeResult, WorkflowContext
from ..nodes.execution import Bound, answer_safely, as_result
from ..nodes.node import NodeLike
from .signals import read_retry_after
from .wrapper import FunctionPolicy, NodePolicy, PolicyNode

if TYPE_CHECKING:
    from tenacity import RetryCallState

RetryOn: TypeAlias = (
    "type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]"
)


def retry(attempts: int = 3, wait: Wait | None = None, retry_on: RetryOn = Exception) -> NodePolicy:
    """Try an item again when it fails, by an exception or a ``success=False``, on tenacity.

    Items are retried independently: one that waits occupies its slot and delays no other. The
    result is that of the last try, with ``metadata["attempts"]``.

    Args:
        attempts: Most tries, the first included.
        wait: Seconds between two tries, or any tenacity wait strategy. The default is an
            exponential backoff with jitter: about 1, 2, 4, … seconds, at most 60. A failure that
            carries a retry-after time (an attribute ``retry_after``, a Retry-After header of its
            ``response``, or ``metadata["retry_after"]``) is waited for at least that long.
        retry_on: Which failures are worth another try: exception classes, or a predicate on the
            exception. A failure without an exception counts as a :class:`NodeError`.
    """
    attempts = check_positive_int(attempts, "attempts")
    worth = _make_predicate(retry_on)
    strategy = as_wait(wait)
    return FunctionPolicy(
        lambda node: RetryNode(node, attempts, strategy, worth), f"retry(attempts={attempts})"
    )


class RetryNode(PolicyNode):
    """A node that is tried again when it fails."""

    def __init__(
        self,
        node: NodeLike,
        attempts: int,
        wait: Callable[[RetryCallState], float],
        worth: Callable[[BaseException], bool],
    ) -> None:
        super().__init__(node)
        self.attempts = attempts
        self._wait = wait
        self._worth = worth

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        attempt = self._bind_attempt(workflow_context)

        async def attempt_until_success(value: Any) -> NodeResult:
            answer = await answer_safely(attempt, value)
            if not isinstance(answer, NodeResult):
                return NodeResult(True, answer, None, {"attempts": 1})
            result, attempts = answer, 1
            # tenacity is used only when a try has failed, because it would slow every success down.
            if self._is_worth_a_retry(result):
                again = partial(answer_safely, attempt, value)
                result, attempts = await self._try_again(result, again)
            return result.with_metadata(attempts=attempts)

        return Bound(attempt_until_success, gives_output=False)

    async def _try_again(
        self, first: NodeResult, attempt: Callable[[], Awaitable[Any]]
    ) -> tuple[NodeResult, int]:
        from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt

        tried, result = 0, first

        async def next_try() -> NodeResult:
            nonlocal tried, result
            tried += 1
            if tried > 1:
                report_retry(result.error)
                result = as_result(await attempt())
            return result

        retrying = AsyncRetrying(
            sleep=asyncio.sleep,
            stop=stop_after_attempt(self.attempts),
            wait=self._choose_wait,
            retry=retry_if_result(self._is_worth_a_retry),
            retry_error_callback=_get_last_result,
        )
        return await retrying(next_try), tried

    def _is_worth_a_retry(self, result: NodeResult) -> bool:
        return not result.success and self._worth(self._get_exception(result))

    def _get_exception(self, result: NodeResult) -> BaseException:
        return result.exception or NodeError(self.node_id, result.error or NO_MESSAGE)

    def _choose_wait(self, state: RetryCallState) -> float:
        result = _get_last_result(state)
        # Strategies that look at the failure expect an exception and not our result.
        failed = copy.copy(state)
        error = self._get_exception(result)
        failed.set_exception((type(error), error, error.__traceback__))
        return max(self._wait(failed), read_retry_after(result))


def _get_last_result(state: RetryCallState) -> NodeResult:
    assert state.outcome is not None
    return cast(NodeResult, state.outcome.result())


def _make_predicate(retry_on: Any) -> Callable[[BaseException], bool]:
    classes = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    if classes and all(isinstance(c, type) and issubclass(c, BaseException) for c in classes):
        return lambda error: isinstance(error, classes)
    if callable(retry_on) and not isinstance(retry_on, type):
        return cast("Callable[[BaseException], bool]", retry_on)
    raise TypeError(
        "retry_on must be exception classes or a predicate on an exception, "
        f"got {describe_value(retry_on)}"
    )
