"""How long the calls of a FlakyService take, and which of them fail."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from .._support.checks import check_non_negative_number, check_sync_function, describe_value

Latency: TypeAlias = "float | tuple[float, float] | Callable[[], float]"
FailureRule: TypeAlias = "float | Callable[[Any, int], bool | BaseException | None]"
FindFailure: TypeAlias = "Callable[[Any, int], BaseException | None]"


class ServiceError(Exception):
    """A call to a FlakyService has failed.

    Policies read its attributes as they read those of the exceptions of HTTP clients.

    Args:
        text: Why, in words.
        status_code: 500 for a failure, 429 beyond the rate, 503 beyond the capacity.
        retry_after: Seconds after which the service wants to be called again, if it says so.

    Attributes:
        status_code: The same.
        retry_after: The same.

    Example:
        >>> try:
        ...     asyncio.run(FlakyService(failures=1.0).run("why?"))
        ... except NodeError as error:
        ...     print(error.__cause__.status_code)
        500
    """

    def __init__(self, text: str, status_code: int, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.status_code = status_code
        self.retry_after = retry_after


def as_latency(latency: object, random: Random) -> Callable[[], float]:
    """Return a function that draws the seconds of a call.

    Raises:
        TypeError: If the argument ``latency`` is no number, no pair of them and no sync function.
        ValueError: If a number is negative, or a tuple has not two of them.
    """
    if callable(latency):
        return check_sync_function(latency, "latency")
    if isinstance(latency, tuple):
        if len(latency) != 2:
            raise ValueError(f"latency must be (low, high), got {describe_value(latency)}")
        low, high = (check_non_negative_number(bound, "each bound of latency") for bound in latency)
        return lambda: random.uniform(low, high)
    seconds = check_non_negative_number(latency, "latency")
    return lambda: seconds


def as_failure_rule(failures: object, random: Random) -> FindFailure:
    """Return a function that finds the failure of a call, if it fails.

    Raises:
        TypeError: If the argument ``failures`` is neither a number nor a sync function.
        ValueError: If it is a number that is no share.
    """
    decide: Callable[[Any, int], object]
    if callable(failures):
        decide = check_sync_function(failures, "failures")
    else:
        decide = _make_random_rule(failures, random)

    def find_failure(value: Any, attempt: int) -> BaseException | None:
        decided = decide(value, attempt)
        if isinstance(decided, BaseException):
            return decided
        if isinstance(decided, type):
            raise TypeError(
                "failures must return a bool, an exception or None, "
                f"got the class {decided.__name__}; return {decided.__name__}(...)"
            )
        return ServiceError("the service failed", 500) if decided else None

    return find_failure


def _make_random_rule(failures: object, random: Random) -> Callable[[Any, int], bool]:
    share = check_non_negative_number(failures, "failures")
    if share > 1:
        raise ValueError(f"failures must be a share from 0 to 1, got {share}")
    return lambda value, attempt: random.random() < share
