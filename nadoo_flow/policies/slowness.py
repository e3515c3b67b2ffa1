"""When an execution counts as slow."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from .._support.percentile import compute_percentile

KEPT = 500
FEWEST = 20
BETWEEN = 100
"""Durations that are kept; that must be known before any is slow; and after how many more of them
the percentile is computed anew."""


class Slowness(Protocol):
    """Says when an execution counts as slow.

    Attributes:
        delay: Seconds after which it does; None if that is not known yet.
    """

    delay: float | None

    def note(self, seconds: float) -> None:
        """Note how long an execution took."""


class FixedDelay:
    """An execution is slow after a fixed time."""

    def __init__(self, delay: float) -> None:
        self.delay: float | None = delay

    def note(self, seconds: float) -> None:
        """Ignore it."""


class SlowestOfLast:
    """An execution is slow when it takes longer than most of the last ones did.

    Args:
        percentile: The percentage of them that is not slow.
    """

    def __init__(self, percentile: float) -> None:
        self.delay: float | None = None
        self._percentile = percentile
        self._last: deque[float] = deque(maxlen=KEPT)
        self._due = FEWEST

    def note(self, seconds: float) -> None:
        """Note how long an execution took, and find out the percentile now and then."""
        self._last.append(seconds)
        self._due -= 1
        if not self._due:
            self._due = BETWEEN
            self.delay = compute_percentile(sorted(self._last), self._percentile)
