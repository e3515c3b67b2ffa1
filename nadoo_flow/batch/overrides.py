"""Calls of the methods that a subclass overrides, and checks of what these return."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, nullcontext
from typing import Any, TypeVar

from .._support.checks import describe_value
from ..nodes.context import WorkflowContext
from ..nodes.soundness import make_sound
from ..results.batch_result import BatchResult

T = TypeVar("T")

CONTEXT = "workflow_context"


def accept_context(method: Callable[..., T], arguments: int) -> Callable[..., T] | None:
    """Return a function that calls an override with a workflow context as its last argument.

    Args:
        method: The override.
        arguments: How many arguments come before the context.

    Returns:
        The method itself, or a function that passes the context by its name. None if the method
        does not take one.
    """

    def call_by_name(*given: Any) -> T:
        return method(*given[:-1], **{CONTEXT: given[-1]})

    try:
        signature = inspect.signature(method)
    except ValueError:  # a compiled function may have none
        return method
    named = signature.parameters.get(CONTEXT)
    if named is not None and named.kind is named.KEYWORD_ONLY:
        return call_by_name
    placeholders = (None,) * arguments
    if _can_bind(signature, *placeholders, None):
        return method
    return call_by_name if _can_bind(signature, *placeholders, **{CONTEXT: None}) else None


def call_with_context(
    method: Callable[..., T], argument: Any, workflow_context: WorkflowContext | None
) -> T:
    """Call an override with an argument, and with the workflow context if one is given.

    Raises:
        TypeError: If a context is given and the override does not take one.
    """
    if workflow_context is None:
        return method(argument)
    accepting = accept_context(method, 1)
    if accepting is None:
        name = getattr(method, "__qualname__", describe_value(method))
        raise TypeError(f"{name} must have a parameter {CONTEXT} to be given one")
    return accepting(argument, workflow_context)


def iterate_results(completed: object) -> AsyncGenerator[BatchResult, None]:
    """Iterate over the return value of an override of ``batch_as_completed``, and close it.

    Raises:
        TypeError: If it is no async iterable; from the generator, if it yields no result.
    """
    if not hasattr(completed, "__aiter__"):
        if inspect.iscoroutine(completed):
            completed.close()
        raise TypeError(
            f"batch_as_completed must return an async iterator, got {describe_value(completed)}"
        )
    return _iterate(completed)


def make_result_sound(result: object, method: str) -> BatchResult:
    """Return the result of an override for one input, with sound fields.

    Raises:
        TypeError: If it is no BatchResult.
    """
    if isinstance(result, BatchResult):
        return make_sound(result)
    if inspect.iscoroutine(result):
        result.close()
    raise TypeError(f"{method} must give a BatchResult, got {describe_value(result)}")


def check_index(result: BatchResult, index: int) -> BatchResult:
    """Return the result of an override of ``process_single``, if it is that of its input.

    Raises:
        ValueError: If it has the index of another one, whose place it would take.
    """
    if result.index != index:
        raise ValueError(
            f"process_single must give the result of its own input, whose index is {index}, "
            f"got one of index {describe_value(result.index)}"
        )
    return result


async def _iterate(completed: Any) -> AsyncGenerator[BatchResult, None]:
    iterator = aiter(completed)
    async with aclosing(iterator) if hasattr(iterator, "aclose") else nullcontext():
        async for result in iterator:
            yield make_result_sound(result, "batch_as_completed")


def _can_bind(signature: inspect.Signature, *arguments: None, **named: None) -> bool:
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True
