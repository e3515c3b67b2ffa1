"""What is kept of results that are not kept themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._support.text import shorten
from .._support.usage import UsageCount
from .batch_result import BatchResult
from .error_type import get_error_type
from .latency_counts import LatencyCounts
from .summary import ErrorGroup, Summary

MOST_KINDS = 1_000
MOST_FAILED = 10
LONGEST_ERROR = 1_000

OTHERS = "other kinds"


class FailedItem(NamedTuple):
    """A failed item.

    Attributes:
        index: Its position in the inputs.
        input: Its input, or the beginning of what describes it.
        error: Its error, or the beginning of that.
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index
    input: Any
    error: str | None


class Digest:
    """Counts results, and keeps a few of their words: as much of a million as of a thousand.

    Attributes:
        latencies: Their latencies.
        failed_items: The first that failed.
    """

    def __init__(self) -> None:
        self.latencies = LatencyCounts()
        self.failed_items: list[FailedItem] = []
        self._total = self._failed = 0
        self._kinds: dict[str, ErrorGroup] = {}
        self._counts: dict[str, int] = {}
        self._used = UsageCount()

    def add(self, result: BatchResult) -> None:
        """Count a result."""
        self._total += 1
        if result.metadata:
            self._used.add(result.metadata)
        if result.execution_time is not None:
            self.latencies.add(result.execution_time, success=result.success)
        if not result.success:
            self._add_failed(result)

    def _add_failed(self, result: BatchResult) -> None:
        self._failed += 1
        if len(self.failed_items) < MOST_FAILED:
            failed = FailedItem(
                result.index, shorten(result.input_data), shorten(result.error, LONGEST_ERROR)
            )
            self.failed_items.append(failed)
        kind = get_error_type(result)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind = OTHERS
        if kind not in self._kinds:
            words = shorten(result.error or "", LONGEST_ERROR)
            self._kinds[kind] = ErrorGroup(kind, 1, result.index, words)
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def summarize(self, seconds: float) -> Summary:
        """Return the counts so far; the percentiles may be 2% too high.

        Args:
            seconds: How long the run has taken.
        """
        kinds = sorted(self._kinds.values(), key=lambda group: -self._counts[group.type])
        return Summary(
            self._total,
            self._total - self._failed,
            self._failed,
            seconds,
            self._total / seconds if seconds else None,
            self.latencies.find_percentile(50),
            self.latencies.find_percentile(95),
            self.latencies.find_percentile(99),
            tuple(
                ErrorGroup(group.type, self._counts[group.type], group.index, group.error)
                for group in kinds
            ),
            self._used.usage,
            self._used.saved,
        )
