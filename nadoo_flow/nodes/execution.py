"""Execute a node once, so that whatever it does becomes one NodeResult."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, TypeAlias

from .._support.tasks import (
    get_running_task,
    is_being_cancelled,
    is_closing,
    is_ended_by_owner,
    is_to_end,
)
from ..errors import describe_error
from .context import NodeContext, NodeResult, WorkflowContext
from .soundness import make_sound

Execute: TypeAlias = Callable[[NodeContext, WorkflowContext], Awaitable[NodeResult]]
"""The ``execute`` of a node."""


async def execute_safely(
    execute: Execute, node_context: NodeContext, workflow_context: WorkflowContext
) -> NodeResult:
    """Execute a node and turn every failure, also a wrong kind of answer, into a NodeResult.

    A failed result always has an ``error``. A cancellation of the running task passes, since a
    policy or a timeout around this call may have requested it, and so do KeyboardInterrupt and
    SystemExit. A CancelledError that was not requested is a failure.
    """
    try:
        return check_result(await require_awaitable(execute(node_context, workflow_context)))
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        return make_failure(error)


async def execute_item(
    execute: Execute, node_context: NodeContext, workflow_context: WorkflowContext
) -> NodeResult:
    """Execute a node as :func:`execute_safely` does, with only the engine around this call.

    So a cancellation passes only if the engine ends the task; any other is the node's own failure.
    """
    try:
        return check_result(await require_awaitable(execute(node_context, workflow_context)))
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        return make_item_failure(error)


def require_awaitable(answer: Any) -> Awaitable[Any]:
    """Return what ``execute`` returned, if it can be awaited."""
    if type(answer) is CoroutineType or inspect.isawaitable(answer):
        return answer
    raise _refuse_plain_answer(answer)


def check_result(result: Any) -> NodeResult:
    """Return the answer of ``execute`` made sound, if it is a NodeResult."""
    if not isinstance(result, NodeResult):
        raise _refuse_answer(result)
    # Most are plain successes, and a call for each would cost four times as much as a look.
    if (
        result.success is True
        and result.error is None
        and type(result.metadata) is dict
        and result.exception is None
    ):
        return result
    raise_if_ended()
    return make_sound(result)


def raise_if_ended() -> None:
    """Start nothing more, such as another attempt, in a task whose owner wants it to end.

    The node has been cancelled, and swallowed that or failed in its clean-up. What would come next
    would not be cancelled any more.

    Raises:
        asyncio.CancelledError: If that is so.
    """
    if is_ended_by_owner(get_running_task()):
        raise asyncio.CancelledError


def make_failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception, or raise what passes; see execute_safely()."""
    if _passes(error, is_being_cancelled):
        raise error
    raise_if_ended()
    return describe_failure(error)


def make_item_failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception, or raise what passes; see execute_item()."""
    if _passes(error, is_to_end):
        raise error
    return describe_failure(error)


def describe_failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception, whichever it is."""
    return NodeResult(False, None, describe_error(error), {}, error)


def _passes(error: BaseException, is_cancelled: Callable[[], bool]) -> bool:
    if isinstance(error, GeneratorExit):
        return is_closing()
    return isinstance(error, asyncio.CancelledError) and is_cancelled()


def _refuse_answer(answer: object) -> TypeError:
    if inspect.iscoroutine(answer):
        answer.close()
    return TypeError(f"expected NodeResult, got {type(answer).__name__}")


def _refuse_plain_answer(answer: object) -> TypeError:
    if isinstance(answer, NodeResult):
        return TypeError("execute must be defined with async def; it returned a plain NodeResult")
    return TypeError(f"{_refuse_answer(answer)}; execute must be defined with async def")
