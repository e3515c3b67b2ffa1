"""Latencies, counted in classes, so that any number of them needs little memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CLASSES_AN_OCTAVE = 32
"""So that the bounds of a class are 2% apart, and so is a percentile from the real one."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bins of equal width from 0 to the longest latency.

    Attributes:
        longest: The longest latency, in seconds.
        bins: How many items failed, and how many succeeded, in each bin.
    """

    longest: float
    bins: Sequence[tuple[int, int]]


class LatencyCounts:
    """Counts latencies, of items that failed and of those that succeeded."""

    def __init__(self) -> None:
        self._classes: dict[int, list[int]] = {}
        self._instant = [0, 0]

    def add(self, seconds: float, *, success: bool) -> None:
        """Count a latency."""
        if seconds > 0:
            number = math.ceil(math.log2(seconds) * CLASSES_AN_OCTAVE)
            self._classes.setdefault(number, [0, 0])[success] += 1
        else:
            self._instant[success] += 1

    def find_percentile(self, percent: float) -> float | None:
        """Return a latency that so many percent do not exceed, at most 2% above the least one."""
        counts = [(0.0, sum(self._instant)), *((s, sum(counts)) for s, counts in self._list())]
        needed = max(math.ceil(sum(count for _, count in counts) * percent / 100), 1)
        for seconds, count in counts:
            needed -= count
            if needed <= 0:
                return seconds
        return None

    def make_histogram(self, bins: int) -> Histogram:
        """Spread the classes over bins of equal width."""
        classes = self._list()
        longest = classes[-1][0] if classes else 0.0
        spread = [[0, 0] for _ in range(bins)]
        spread[0][:] = self._instant
        for seconds, (failed, successful) in classes:
            found = spread[min(int(seconds / longest * bins), bins - 1)]
            found[0] += failed
            found[1] += successful
        return Histogram(longest, [(failed, successful) for failed, successful in spread])

    def _list(self) -> list[tuple[float, list[int]]]:
        """List the upper bounds and the counts of the classes, in the order of the bounds."""
        return [(2 ** (at / CLASSES_AN_OCTAVE), self._classes[at]) for at in sorted(self._classes)]
