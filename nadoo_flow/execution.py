"""Execute a node once, so that whatever it does becomes one NodeResult."""

from __future__ import annotations

import asyncio
import inspect
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
        answer: Any = node.execute(node_context, workflow_context)
        if type(answer) is not CoroutineType and not inspect.isawaitable(answer):
            raise _not_async(answer)
        result = await answer
        if not isinstance(result, NodeResult):
            raise _not_a_result(result)
    except Exception as error:
        return failure(error)
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        return failure(error)
    if not result.success and not result.error:
        result.error = NO_MESSAGE
    return result


def failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception."""
    return NodeResult(False, None, describe(error), {}, error)


def _not_a_result(answer: object) -> TypeError:
    if inspect.iscoroutine(answer):
        answer.close()
    return TypeError(f"expected NodeResult, got {type(answer).__name__}")


def _not_async(answer: object) -> TypeError:
    if isinstance(answer, NodeResult):
        return TypeError("execute must be defined with async def; it returned a plain NodeResult")
    return TypeError(f"{_not_a_result(answer)}; execute must be defined with async def")
