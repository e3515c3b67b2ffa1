"""Failures: the exception behind one, and which of them a policy is to act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .._support.checks import check_sync_function, describe_value
from ..errors import NO_MESSAGE, NodeError
from ..nodes.context import NodeResult

Failures: TypeAlias = (
    "type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool]"
)
"""Exception classes, or a predicate on an exception."""


def get_exception(failed: NodeResult, node_id: str) -> BaseException:
    """Return the exception behind a failure, or a :class:`NodeError` for one that has none."""
    return failed.exception or NodeError(node_id, failed.error or NO_MESSAGE)


def make_predicate(errors: Any, parameter: str) -> Callable[[BaseException], bool]:
    """Make a predicate of exception classes; return one as it is.

    Raises:
        TypeError: If it is neither, or a function that yields or is async, which would always be
            true.
    """
    classes = errors if isinstance(errors, tuple) else (errors,)
    if classes and all(isinstance(c, type) and issubclass(c, BaseException) for c in classes):
        return lambda error: isinstance(error, classes)
    if callable(errors) and not isinstance(errors, type):
        return check_sync_function(errors, parameter)
    raise TypeError(
        f"{parameter} must be exception classes or a predicate on an exception, "
        f"got {describe_value(errors)}"
    )
