"""BatchResults: a list that knows itself."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, BatchResult, BatchResults, NodeResult
from nadoo_flow._support.percentile import compute_percentile
from nadoo_flow.results.summary import ErrorGroup

from ..hostile_texts import HOSTILE, Unprintable, tags_of
from ..stand_ins import double, now, slowly


def made(*times: float, failed: dict[int, Any] | None = None) -> BatchResults:
    """Make results that took certain times; those in ``failed`` failed with an error."""
    results = BatchResults(seconds=10.0)
    for index, seconds in enumerate(times):
        error = (failed or {}).get(index)
        exception = error if isinstance(error, Exception) else None
        words = f"{type(error).__name__}: {error}" if exception else error
        results.append(
            BatchResult(index, index, error is None, index * 2, words, seconds, exception)
        )
    return results


class TestAsAList:
    async def test_a_batch_returns_one(self) -> None:
        results = await BatchProcessor(double).batch([1, 2, 3])
        assert type(results) is BatchResults
        assert isinstance(results, list)
        assert results == list(results)
        assert [type(results[:2]), type([*results]), type(sorted(results, key=id))] == [list] * 3

    async def test_it_knows_what_succeeded_and_what_failed(self) -> None:
        results = await BatchProcessor(lambda x: 6 / x).batch([1, 0, 2])
        assert [result.index for result in results.successful] == [0, 2]
        assert [result.index for result in results.failed] == [1]
        assert results.outputs == [6, 3]

    async def test_it_knows_how_long_the_whole_run_took(self) -> None:
        results = await BatchProcessor(slowly, 2).batch([1, 2, 3])
        assert results.seconds == now() == 4

    async def test_a_subclass_that_overrides_the_iteration_gets_one_too(self) -> None:
        class Slow(BatchProcessor):
            async def batch_as_completed(self, inputs: Any) -> Any:  # type: ignore[override]
                for index, value in enumerate(inputs):
                    await asyncio.sleep(1)
                    yield await self.process_single(value, index)

        results = await Slow(double).batch([1, 2])
        assert (type(results), results.seconds, results.outputs) == (BatchResults, 2, [2, 4])

    async def test_retried_results_are_one_too(self) -> None:
        processor = BatchProcessor(double)
        assert type(await processor.retry_failed(await processor.batch([1]))) is BatchResults

    def test_it_survives_copying_and_pickling(self) -> None:
        results = made(1, 2, failed={1: "no"})
        for again in (
            copy.copy(results),
            copy.deepcopy(results),
            pickle.loads(pickle.dumps(results)),
        ):
            assert type(again) is BatchResults
            assert (again, again.seconds, again.trace) == (results, 10.0, None)


class TestSummary:
    def test_it_counts(self) -> None:
        summary = made(1, 2, 3, 4, failed={1: "no", 3: "no"}).summary()
        assert (summary.total, summary.successful, summary.failed) == (4, 2, 2)
        assert (summary.seconds, summary.throughput) == (10.0, 0.4)

    @pytest.mark.parametrize(
        ("percent", "value"), [(0, 1), (1, 1), (50, 50), (95, 95), (99, 99), (100, 100)]
    )
    def test_a_percentile_is_one_of_the_values(self, percent: float, value: float) -> None:
        assert compute_percentile([float(n) for n in range(1, 101)], percent) == value

    @pytest.mark.parametrize("percent", [50, 95, 99])
    def test_the_percentiles_of_one_value_are_that_value(self, percent: float) -> None:
        assert compute_percentile([7.0], percent) == 7.0

    def test_latencies_that_are_not_known_do_not_count(self) -> None:
        results = made(3, 1, 2)
        results[0].execution_time = None
        summary = results.summary()
        assert (summary.p50, summary.p95, summary.p99) == (1, 2, 2)

    def test_errors_are_grouped_by_type_the_most_frequent_first(self) -> None:
        errors = {0: ValueError("a"), 1: TimeoutError("b"), 2: TimeoutError("c"), 3: "quota is up"}
        assert made(1, 1, 1, 1, 1, failed=errors).summary().errors == (
            ErrorGroup("TimeoutError", 2, 1, "TimeoutError: b"),
            ErrorGroup("ValueError", 1, 0, "ValueError: a"),
            ErrorGroup("no exception", 1, 3, "quota is up"),
        )

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ("ValueError: bad", "ValueError"),
            ("TimeoutError", "TimeoutError"),
            ("ExceptionGroup: two", "ExceptionGroup"),
            ("Errors were made: by me", "no exception"),
            ("stage 'a': ValueError: bad", "no exception"),
            (None, "no exception"),
        ],
    )
    def test_results_from_a_store_are_grouped_by_their_words(
        self, error: str | None, kind: str
    ) -> None:
        (group,) = BatchResults([BatchResult(0, 0, False, error=error)]).summary().errors
        assert group.type == kind

    def test_it_can_be_read(self) -> None:
        summary = made(0.5, 1, 1.5, 2, failed={2: ValueError("bad")}).summary()
        assert str(summary).splitlines() == [
            "4 items: 3 successful, 1 failed, in 10 s (0.4 items/s)",
            "latency: p50 1 s, p95 2 s, p99 2 s",
            "1 ValueError, e.g. item 2: ValueError: bad",
        ]

    def test_a_summary_of_nothing_can_be_read(self) -> None:
        assert str(BatchResults().summary()) == "0 items: 0 successful, 0 failed"


class TestRepr:
    def test_it_is_a_few_lines_whatever_the_results(self) -> None:
        errors = {n: type(f"Odd{n}Error", (Exception,), {})("x" * 10_000) for n in range(9)}
        lines = repr(made(*[1] * 9, failed=errors)).splitlines()
        assert lines[0] == "BatchResults"
        assert lines[1] == "  9 items: 0 successful, 9 failed, in 10 s (0.9 items/s)"
        assert lines[-1] == "  … and 6 more kinds of errors"
        assert len(lines) == 7
        assert max(map(len, lines)) < 130

    @pytest.mark.parametrize("text", HOSTILE)
    def test_no_error_spoils_it(self, text: str) -> None:
        shown = repr(BatchResults([BatchResult(0, text, False, None, text)]))
        assert len(shown) < 300
        assert shown.count("\n") == 2
        assert "\x1b" not in shown


class TestHtml:
    def test_it_shows_counts_latencies_and_failures(self) -> None:
        html = made(1, 2, 3, failed={1: ValueError("is <bad>")})._repr_html_()
        for words in (
            "3 items",
            "2 successful",
            "1 failed",
            "p95 3 s",
            "ValueError",
            "is &lt;bad&gt;",
        ):
            assert words in html
        assert tags_of(html) >= {"svg", "table", "details"}

    def test_it_is_small_and_counts_what_it_does_not_show(self) -> None:
        results = made(*[n / 1000 for n in range(10_000)], failed=dict.fromkeys(range(500), "no"))
        html = results._repr_html_()
        assert "… and 490 more items" in html
        assert len(html) < 30_000

    @pytest.mark.parametrize(
        "results", [BatchResults(), made(0, 0), made(1), BatchResults(made(1))]
    )
    def test_it_can_be_shown_whatever_is_missing(self, results: BatchResults) -> None:
        assert "div" in tags_of(results._repr_html_())

    @pytest.mark.parametrize("text", HOSTILE)
    def test_no_string_gets_out_of_its_place(self, text: str) -> None:
        error = type("".join(filter(str.isalnum, text))[:50] or "E", (Exception,), {})(text)
        results = BatchResults(
            [
                BatchResult(0, text, False, None, text, 1.0, error),
                BatchResult(1, {text: text}, False),
            ]
        )
        assert tags_of(results._repr_html_()) == TAGS
        assert len(results._repr_html_()) < 12_000

    def test_what_users_wrote_may_be_broken_into_lines_anywhere(self) -> None:
        html = made(1, failed={0: ValueError("x" * 80)})._repr_html_()
        cells = re.findall(r'<td style="[^"]*;([^";]*)"><bdi>(.*?)</bdi>', html)
        assert {text[:5] for style, text in cells if style == "overflow-wrap:anywhere"} == {
            "Value",
            str(made(1)[0].input_data)[:5],
        }
        assert {style for style, text in cells if text == "ValueError"} == {"white-space:nowrap"}

    def test_an_input_that_cannot_be_printed_is_shown_as_such(self) -> None:
        misnamed = type("list", (), {})()  # which has nothing to iterate over
        results = [BatchResult(0, Unprintable(), False), BatchResult(1, misnamed, False)]
        html = BatchResults(results)._repr_html_()
        assert "&lt;Unprintable instance at" in html
        assert "&lt;unprintable list&gt;" in html


TAGS = {
    *("div", "b", "svg", "title", "style", "text", "rect", "path"),
    *("table", "tr", "th", "td", "bdi", "details", "summary"),
}


async def test_a_failure_that_a_node_only_tells_of_is_counted_too() -> None:
    async def refuse(_: Any) -> NodeResult:
        return NodeResult(success=False, error="quota is up")

    results = await BatchProcessor(refuse).batch([1, 2])
    assert results.summary().errors == (ErrorGroup("no exception", 2, 0, "quota is up"),)
