"""Percentiles."""

from __future__ import annotations

import math


def compute_percentile(ordered: list[float], percent: float) -> float | None:
    """Return the smallest of sorted values that is not exceeded by so many percent of them."""
    if not ordered:
        return None
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]
