"""Execute a node once, so that whatever it does becomes one NodeResult."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, Protocol

from .context import NodeContext, NodeResult, WorkflowContext
from .errors import NO_MESSAGE, describe
from .tasks import is_being_cancelled


class Executable(Protocol):
    """Whatever can be executed as a node is."""

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Do the work and answer."""


async def execute_safely(
    node: Executable, node_context: NodeContext, workflow_context: WorkflowContext
) -> NodeResult:
    """Execute a node and turn every failure, also a wrong kind of answer, into a NodeResult.

    A failed result always has an ``error``. A cancellation of the running task passes, and so do
    KeyboardInterrupt and SystemExit; a CancelledError that nobody asked for is a failure.
    """
    try:
        return checked(await awaitable(node.execute(node_context, workflow_context)))
    except (Exception, asyncio.CancelledError) as error:
        return failure(error)


def awaitable(answer: Any) -> Awaitable[Any]:
    """Return what ``execute`` returned, if it can be awaited."""
    if type(answer) is CoroutineType or inspect.isawaitable(answer):
        return answer
    raise _not_async(answer)


def checked(result: Any) -> NodeResult:
    """Return the answer of ``execute``, if it is a NodeResult, never a failure without words."""
    if not isinstance(result, NodeResult):
        raise _not_a_result(result)
    if result.success or result.error:
        return result
    return NodeResult(False, result.output, NO_MESSAGE, result.metadata, result.exception)


def failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception, or raise the cancellation of the current task."""
    if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
        raise error
    return NodeResult(False, None, describe(error), {}, error)


def _not_a_result(answer: object) -> TypeError:
    if inspect.iscoroutine(answer):
        answer.close()
    return TypeError(f"expected NodeResult, got {type(answer).__name__}")


def _not_async(answer: object) -> TypeError:
    if isinstance(answer, NodeResult):
        return TypeError("execute must be defined with async def; it returned a plain NodeResult")
    return TypeError(f"{_not_a_result(answer)}; execute must be defined with async def")
