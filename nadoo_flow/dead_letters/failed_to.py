"""What a run hands its failures to: a file, or a function of the user's."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from typing import Any, Protocol, TypeAlias

from .._support.checks import check_function, describe_value, hint_at_call
from ..results.batch_result import BatchResult
from ..storage import Codec
from .file import LetterFile, check_path


class FailureSink(Protocol):
    """Takes the failures of one run."""

    def take(self, result: BatchResult) -> Any:
        """Take a failed result; what is returned is awaited if it can be.

        Args:
            result: The failed result.
        """

    def close(self) -> None:
        """Take no more."""


FailedTo: TypeAlias = Callable[[], FailureSink]
"""Opens what takes the failures of one run; raises a DeadLetterError if that is not possible."""


class LetterFunction:
    """Calls a function with each failure.

    Args:
        function: Gets a copy, so that a run does not depend on what the function does with it.
    """

    def __init__(self, function: Callable[[BatchResult], Any]) -> None:
        self._function = function

    def take(self, result: BatchResult) -> Any:
        """Call the function, and return what it returns."""
        return self._function(copy(result))

    def close(self) -> None:
        """There is nothing to close."""


def as_failed_to(value: object, codec: Codec | None) -> FailedTo:
    """Return what opens a path or a function for the failures of a run.

    Args:
        value: The argument ``failed_to``.
        codec: The codec of the batch.

    Raises:
        TypeError: If it is neither a path nor a function.
    """
    if isinstance(value, (str, os.PathLike)):
        path = check_path(value)
        return lambda: LetterFile(path, codec)
    if not callable(value):
        raise TypeError(
            f"failed_to must be a path or a function, got {describe_value(value)}"
            f"{hint_at_call(value)}"
        )
    function = check_function(value, "failed_to")
    return lambda: LetterFunction(function)
