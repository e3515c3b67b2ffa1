"""What is kept of results that are not kept themselves."""

from __future__ import annotations

import math
import random

import pytest

from nadoo_flow import BatchResult
from nadoo_flow._support.percentile import compute_percentile
from nadoo_flow.results.digest import Digest
from nadoo_flow.results.latency_counts import LatencyCounts
from nadoo_flow.results.summary import ErrorGroup, summarize


def failed(index: int, error: str, exception: Exception | None = None) -> BatchResult:
    return BatchResult(index, f"in {index}", False, None, error, 1.0, exception)


def test_it_counts_as_a_summary_of_all_results_does() -> None:
    draw = random.Random(5)
    results = [
        BatchResult(
            at,
            at,
            at % 9 != 0,
            None,
            None if at % 9 else ("no" if at % 2 else "KeyError"),
            draw.lognormvariate(0, 2),
            metadata={"usage": {"tokens": at}},
        )
        for at in range(1_000)
    ]
    digest = Digest()
    for result in results:
        digest.add(result)
    exact, kept = summarize(results, 20.0), digest.summarize(20.0)
    for name in ("total", "successful", "failed", "throughput", "errors", "usage", "saved"):
        assert getattr(kept, name) == getattr(exact, name)
    for percentile in ("p50", "p95", "p99"):
        assert 1 <= getattr(kept, percentile) / getattr(exact, percentile) <= 2 ** (1 / 32)


def test_it_keeps_little_of_much() -> None:
    digest = Digest()
    for index in range(3_000):
        exception = type(f"Kind{index}Error", (Exception,), {})()
        digest.add(failed(index, "x" * 100_000, exception))
    errors = digest.summarize(1.0).errors
    assert errors[0] == ErrorGroup("other kinds", 2_000, 1_000, "x" * 999 + "…")
    assert len(errors) == 1_001
    assert [item.index for item in digest.failed_items] == list(range(10))
    assert max(len(item.error or "") for item in digest.failed_items) == 1_000


def test_an_empty_one_can_be_summarized() -> None:
    summary = Digest().summarize(0.0)
    assert (summary.total, summary.throughput, summary.p50, summary.errors) == (0, None, None, ())
    assert LatencyCounts().make_histogram(2).longest == 0


@pytest.mark.parametrize("percent", [1, 50, 99, 100])
def test_a_percentile_is_at_most_two_percent_too_high(percent: float) -> None:
    counts = LatencyCounts()
    seconds = [0.0, 0.0, 1e-9, 1.0, *[1.1**power for power in range(-50, 50)]]
    for value in seconds:
        counts.add(value, success=True)
    exact, found = compute_percentile(sorted(seconds), percent), counts.find_percentile(percent)
    assert exact is not None
    assert found is not None
    assert exact <= found * (1 + 1e-9)
    assert math.isclose(found, exact, rel_tol=0.022)


def test_a_histogram_has_every_latency_in_its_bin() -> None:
    counts = LatencyCounts()
    for value, success in ((0.0, True), (1.0, False), (4.0, True), (7.9, True), (8.0, True)):
        counts.add(value, success=success)
    histogram = counts.make_histogram(4)
    assert histogram.longest == 8
    assert histogram.bins == [(1, 1), (0, 0), (0, 1), (0, 2)]
