"""The way of one input through a node, so that whatever the node does becomes one answer.

A node is bound once for a run: :meth:`BaseNode._bind` returns a function of an input. Batches,
stages, pipelines and policies call that function for each item.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType, NoneType
from typing import Any, NamedTuple, TypeAlias

from .._support.tasks import (
    get_running_task,
    is_being_cancelled,
    is_closing,
    is_ended_by_owner,
    is_to_end,
)
from ..errors import describe_error
from .context import NodeContext, NodeResult, WorkflowContext, as_input
from .soundness import make_sound

Execute: TypeAlias = Callable[[NodeContext, WorkflowContext], Awaitable[NodeResult]]
"""The ``execute`` of a node."""


class Bound(NamedTuple):
    """A node in one run.

    Attributes:
        call: Returns the answer to an input, which is passed as it was given, or a coroutine that
            returns it. A failure may also be raised.
        gives_output: Whether an answer that is no NodeResult is the output of a success. Otherwise
            it is a mistake of the node.
    """

    call: Callable[[Any], Any]
    gives_output: bool


READY = frozenset({CoroutineType, NodeResult, NoneType, bool, int, float, str, bytes, dict, list})
"""Types of what a function may return for which :func:`as_answer` has nothing to do."""


def bind_execute(execute: Execute, workflow_context: WorkflowContext) -> Bound:
    """Bind a node by its ``execute``, which must return a NodeResult."""

    def call_execute(value: Any) -> Any:
        data = value if type(value) is dict else as_input(value)
        answer = execute(NodeContext(data), workflow_context)
        return answer if type(answer) is CoroutineType else _await_answer(answer)

    return Bound(call_execute, gives_output=False)


def as_answer(returned: Any) -> Any:
    """Return what a function returned as it is, or a coroutine that awaits it if it can be."""
    if type(returned) in READY or not inspect.isawaitable(returned):
        return returned
    return _await(returned)


def check_answer(answer: Any, may_be_output: bool) -> Any:
    """Return an answer made sound, if it is of the right kind."""
    if may_be_output and not isinstance(answer, NodeResult):
        return answer
    return check_result(answer)


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
    raise_if_ended(get_running_task())
    return make_sound(result)


def raise_if_ended(task: asyncio.Task[Any] | None) -> None:
    """Start nothing more, such as another attempt, in a task whose owner wants it to end.

    The node has been cancelled, and swallowed that or failed in its clean-up. What would come next
    would not be cancelled any more.

    Raises:
        asyncio.CancelledError: If that is so.
    """
    if is_ended_by_owner(task):
        raise asyncio.CancelledError


def make_failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception, or raise what passes; see answer_safely()."""
    if _passes(error, is_being_cancelled):
        raise error
    raise_if_ended(get_running_task())
    return describe_failure(error)


def make_item_failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception that leaves an item, with only the engine around it.

    So a cancellation passes only if the engine ends the task; any other is the node's own failure.
    """
    if _passes(error, is_to_end):
        raise error
    return describe_failure(error)


def describe_failure(error: BaseException) -> NodeResult:
    """Make a failed NodeResult of an exception, whichever it is."""
    return NodeResult(False, None, describe_error(error), {}, error)


def _passes(error: BaseException, is_cancelled: Callable[[], bool]) -> bool:
    if isinstance(error, Exception):
        return False
    if isinstance(error, GeneratorExit):
        return is_closing()
    # What is left is a KeyboardInterrupt, a SystemExit, or another that is to end the program.
    return is_cancelled() if isinstance(error, asyncio.CancelledError) else True


async def answer_safely(
    bound: Bound, value: Any, on_error: Callable[[BaseException], NodeResult] = make_failure
) -> Any:
    """Put an input through a node and turn every failure into a NodeResult.

    A failed result always has an ``error``. A cancellation of the running task passes, since a
    policy or a timeout around this call may have requested it, and so do KeyboardInterrupt and
    SystemExit. A CancelledError that was not requested is a failure.

    Args:
        bound: The node.
        value: The input.
        on_error: :func:`make_item_failure` where only the engine is around this call.

    Returns:
        The answer, which is sound if it is a NodeResult.
    """
    try:
        answer = bound.call(value)
        if type(answer) is CoroutineType:
            answer = await answer
        return check_answer(answer, bound.gives_output)
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        return on_error(error)


def as_result(answer: Any) -> NodeResult:
    """Return a sound answer as a NodeResult."""
    return answer if isinstance(answer, NodeResult) else NodeResult(True, answer, None, {})


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _await_answer(answer: Any) -> Coroutine[Any, Any, Any]:
    if inspect.isawaitable(answer):
        return _await(answer)
    raise _refuse_plain_answer(answer)


def _refuse_answer(answer: object) -> TypeError:
    if inspect.iscoroutine(answer):
        answer.close()
    return TypeError(f"expected NodeResult, got {type(answer).__name__}")


def _refuse_plain_answer(answer: object) -> TypeError:
    if isinstance(answer, NodeResult):
        return TypeError("execute must be defined with async def; it returned a plain NodeResult")
    return TypeError(f"{_refuse_answer(answer)}; execute must be defined with async def")
