"""What the results of a batch used."""

from __future__ import annotations

from collections.abc import Iterable

from .._support.usage import UsageCount
from .batch_result import BatchResult


def count_usage(results: Iterable[BatchResult]) -> UsageCount:
    """Add up what results used, and saved."""
    count = UsageCount()
    for result in results:
        if result.metadata:
            count.add(result.metadata)
    return count
