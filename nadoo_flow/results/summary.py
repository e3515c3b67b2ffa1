"""The summary of a batch: counts, latencies and errors by type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._support.percentile import compute_percentile
from .._support.text import format_count, format_duration, format_rate, shorten
from .._support.usage import describe_usage
from .batch_result import BatchResult
from .error_type import get_error_type
from .usage import count_usage


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failures of one kind.

    Attributes:
        type: The name of the exception, or ``"no exception"`` where a node returned a failed
            result without one.
        count: The number of failures.
        index: The index of the first one.
        error: The error of the first one.
    """

    type: str
    count: int
    index: int
    error: str

    def __str__(self) -> str:
        return f"{self.count:,} {self.type}, e.g. item {self.index}: {shorten(self.error, 80)}"


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts and latencies of a batch; ``str()`` puts them into words.

    Attributes:
        total: Results in all.
        successful: How many of them succeeded.
        failed: How many of them failed.
        seconds: How long the run took, where that is known.
        throughput: Items per second of the run, where that is known.
        p50: Half of the items took at most so many seconds each.
        p95: 95% of the items took at most so many seconds each.
        p99: 99% of the items took at most so many seconds each.
        errors: The failures by type, the most frequent first.
        usage: What the items used, such as ``{"tokens": 8_120}``: the sums of the numbers in
            ``metadata["usage"]``, by name.
        saved: What was not used again, because results were cached or resumed.
    """

    total: int
    successful: int
    failed: int
    seconds: float | None
    throughput: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    errors: tuple[ErrorGroup, ...]
    usage: dict[str, float]
    saved: dict[str, float]

    def __str__(self) -> str:
        first = f"{format_count(self.total, 'item')}: {self.successful:,} successful"
        first += f", {self.failed:,} failed"
        if self.seconds is not None:
            first += f", in {format_duration(self.seconds)}"
        if self.throughput is not None:
            first += f" ({format_rate(self.throughput)})"
        lines = [first]
        if self.p50 is not None and self.p95 is not None and self.p99 is not None:
            latencies = f"p50 {format_duration(self.p50)}, p95 {format_duration(self.p95)}"
            lines.append(f"latency: {latencies}, p99 {format_duration(self.p99)}")
        if self.usage or self.saved:
            lines.append(f"usage: {describe_usage(self.usage, self.saved)}")
        return "\n".join([*lines, *map(str, self.errors)])


def summarize(results: Sequence[BatchResult], seconds: float | None) -> Summary:
    """Count results, their latencies, and their errors by type."""
    latencies = sorted(
        result.execution_time for result in results if result.execution_time is not None
    )
    failed = [result for result in results if not result.success]
    count = count_usage(results)
    return Summary(
        len(results),
        len(results) - len(failed),
        len(failed),
        seconds,
        len(results) / seconds if seconds else None,
        compute_percentile(latencies, 50),
        compute_percentile(latencies, 95),
        compute_percentile(latencies, 99),
        _group_by_type(failed),
        count.usage,
        count.saved,
    )


def _group_by_type(failed: list[BatchResult]) -> tuple[ErrorGroup, ...]:
    kinds: dict[str, list[BatchResult]] = {}
    for result in failed:
        kinds.setdefault(get_error_type(result), []).append(result)
    groups = [
        ErrorGroup(kind, len(found), found[0].index, found[0].error or "")
        for kind, found in kinds.items()
    ]
    return tuple(sorted(groups, key=lambda group: -group.count))
