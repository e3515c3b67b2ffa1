"""The throughput of a run over time, in a bounded number of points."""

from __future__ import annotations

from typing import NamedTuple

MOST_POINTS = 120
RECENT = 10.0
"""Seconds over which the current rate is taken, or a tenth of the run where that is more."""


class Point(NamedTuple):
    """How far a run was at a time.

    Attributes:
        seconds: Since its begin.
        done: Items that went through it, or ended in it.
        failed: Those that have failed.
    """

    seconds: float
    done: int
    failed: int


class History:
    """The points of one run, of which every other one is dropped when there are too many.

    Attributes:
        points: From the begin of the run to the latest sample.
    """

    def __init__(self) -> None:
        self.points = [Point(0.0, 0, 0)]
        self._gap = 0.0

    def add(self, point: Point) -> None:
        """Add a point, in the place of the last one if that is too close to the one before."""
        points = self.points
        if len(points) > 1 and points[-1].seconds - points[-2].seconds < self._gap:
            points[-1] = point
        elif point.seconds > points[-1].seconds:
            points.append(point)
        if len(points) > MOST_POINTS:
            self.points = [*points[:-1:2], points[-1]]
            self._gap = 2 * self.points[-1].seconds / MOST_POINTS

    def compute_rate(self) -> float:
        """Return how many items a second were done lately."""
        last = self.points[-1]
        since = last.seconds - max(RECENT, last.seconds / 10)
        first = next(point for point in self.points if point.seconds >= min(since, last.seconds))
        if first is last:
            first = self.points[0]
        seconds = last.seconds - first.seconds
        return (last.done - first.done) / seconds if seconds > 0 else 0.0
