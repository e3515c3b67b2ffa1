"""What a node may answer besides the plain success that it should."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

from nadoo_flow import BatchResult, NodeResult

from .faults import Unreadable

_answer: Any = NodeResult

FAILURES: dict[str, Callable[[Any], Any]] = {
    "bad_answer": lambda value: None,
    "failure": lambda value: _answer(False, error="planned"),
    "failure_without_error": lambda value: _answer(False),
    "failure_with_exception": lambda value: _answer(False, error=ValueError("planned")),
    "failure_with_unreadable_error": lambda value: _answer(False, error=Unreadable()),
    "failure_with_odd_error": lambda value: _answer(False, error={"code": 429}),
    "failure_without_metadata": lambda value: _answer(False, error="planned", metadata=None),
    "failure_with_odd_exception": lambda value: _answer(False, error="no", exception="planned"),
    "failure_that_is_no_bool": lambda value: _answer(0, error="planned"),
}
"""Answers that fail the item."""

SUCCESSES: dict[str, Callable[[Any], Any]] = {
    "success_without_metadata": lambda value: _answer(True, value, metadata=None),
    "success_with_odd_metadata": lambda value: _answer(True, value, metadata=["planned"]),
    "success_that_is_no_bool": lambda value: _answer("yes", value),
    "success_with_odd_exception": lambda value: _answer(True, value, exception="planned"),
}
"""Answers that are taken as successes."""

ANSWERS = {**FAILURES, **SUCCESSES}


def is_sound(result: NodeResult | BatchResult) -> bool:
    """Tell whether the fields of a result are what their annotations say."""
    return (
        isinstance(result.success, bool)
        and isinstance(result.error, str if not result.success else (str, NoneType))
        and (result.success or bool(result.error))
        and isinstance(result.metadata, dict)
        and isinstance(result.exception, (BaseException, NoneType))
    )
