"""Waits between tries: tenacity's strategies, or plain seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from .checks import check_non_negative_number

if TYPE_CHECKING:
    from tenacity import RetryCallState
    from tenacity.wait import wait_base

Wait: TypeAlias = "float | wait_base | Callable[[RetryCallState], float]"

MAX_WAIT = 60.0
"""Seconds that the default backoff reaches at most."""


def as_wait(wait: Wait | None) -> Callable[[RetryCallState], float]:
    """Make a tenacity wait strategy of what a user passed as ``wait``.

    Args:
        wait: Seconds, a strategy, or None for an exponential backoff with jitter: about 1, 2, 4, …
            seconds, up to MAX_WAIT.

    Raises:
        TypeError: If it is neither a number nor a strategy.
        ValueError: If it is a negative number, or nan.
    """
    # tenacity takes longer to import than the rest of this library.
    from tenacity.wait import wait_exponential_jitter, wait_fixed

    if wait is None:
        return wait_exponential_jitter(initial=1, max=MAX_WAIT)
    if isinstance(wait, type):
        raise TypeError(f"wait must be seconds or a wait strategy, got the class {wait.__name__}")
    if callable(wait):
        return wait
    return wait_fixed(check_non_negative_number(wait, "wait"))


def generate_waits(wait: Wait | None, attempts: int) -> Iterator[float]:
    """Yield the seconds to wait before each of ``attempts`` further tries."""
    from tenacity import RetryCallState, Retrying

    strategy = as_wait(wait)
    state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
    for number in range(1, attempts + 1):
        state.attempt_number = number
        yield strategy(state)
