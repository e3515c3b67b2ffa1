"""The type of the error of a failed result, by which failures are counted."""

from __future__ import annotations

import re

from .batch_result import BatchResult

NO_EXCEPTION = "no exception"

_EXCEPTION_NAME = re.compile(r"(\w*(?:Error|Exception|Group|Interrupt|Warning|Exit))(?::|$)")


def get_error_type(result: BatchResult) -> str:
    """Return the name of the exception behind a failed result, or NO_EXCEPTION."""
    if result.exception is not None:
        return type(result.exception).__name__
    # Results that were stored and loaded again have only the text of the error.
    named = _EXCEPTION_NAME.match(result.error or "")
    return named[1] if named else NO_EXCEPTION
