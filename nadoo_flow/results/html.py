"""The results of a batch as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._support.text import format_count, format_duration, format_rate, shorten_and_escape
from .._support.usage import describe_usage
from ..drawing.embedding import embed_live
from ..drawing.svg import BLUE, RED, label, picture, tag, time_axis, title
from .batch_result import BatchResult
from .digest import FailedItem
from .latency_counts import Histogram
from .summary import Summary

MOST_ROWS = 10
"""Rows of a table; further ones are only counted."""

BINS = 30
"""The bars of the histogram."""

_WIDTH, _HEIGHT, _LEFT = 560, 96, 64
_LINE = "border-top:1px solid rgba(128,128,128,.4)"


def render_results(
    results: Sequence[BatchResult], summary: Summary, remarks: Sequence[str] = ()
) -> str:
    """Render the summary of results, remarks, a histogram of latencies, and the failures."""
    failed = [result for result in results if not result.success]
    rows = [FailedItem(each.index, each.input_data, each.error) for each in failed[:MOST_ROWS]]
    return render_summary(summary, remarks, _make_histogram(results), rows)


def render_summary(
    summary: Summary,
    remarks: Sequence[str],
    histogram: Histogram,
    failed: Sequence[FailedItem],
) -> str:
    """Render a summary.

    Args:
        summary: The counts.
        remarks: What else is to be said.
        histogram: The latencies, in :data:`BINS` bins.
        failed: The first items that failed.
    """
    parts = [
        _render_headline(summary),
        *(f"<div>{shorten_and_escape(remark, 200)}</div>" for remark in remarks),
        _render_histogram(histogram),
        *_render_errors(summary),
        *_render_failures(failed, summary.failed),
    ]
    inner = "".join(parts)
    return f'<div style="max-width:{_WIDTH + 160}px;line-height:1.45">{inner}</div>'


def _render_headline(summary: Summary) -> str:
    counts = [f"<b>{format_count(summary.total, 'item')}</b>", f"{summary.successful:,} successful"]
    if summary.failed:
        counts.append(f'<b style="color:{RED}">{summary.failed:,} failed</b>')
    if summary.seconds is not None:
        counts.append(f"in {format_duration(summary.seconds)}")
    if summary.throughput is not None:
        counts.append(format_rate(summary.throughput))
    html = f"<div>{' · '.join(counts)}</div>"
    if summary.usage or summary.saved:
        used = shorten_and_escape(describe_usage(summary.usage, summary.saved), 200)
        html += f"<div>usage {used}</div>"
    if summary.p50 is not None and summary.p95 is not None and summary.p99 is not None:
        percentiles = f"p50 {format_duration(summary.p50)} · p95 {format_duration(summary.p95)}"
        html += f"<div>latency {percentiles} · p99 {format_duration(summary.p99)}</div>"
    return html


def _make_histogram(results: Sequence[BatchResult]) -> Histogram:
    timed = [(r.execution_time, r.success) for r in results if r.execution_time is not None]
    longest = max((seconds for seconds, _ in timed), default=0.0)
    bins = [[0, 0] for _ in range(BINS)]
    for seconds, success in timed if longest > 0 else ():
        bins[min(int(seconds / longest * BINS), BINS - 1)][success] += 1
    return Histogram(longest, [(failed, successful) for failed, successful in bins])


def _render_histogram(histogram: Histogram) -> str:
    longest, bins = histogram.longest, histogram.bins
    if longest <= 0:
        return ""
    highest = max(map(sum, bins))
    width = (_WIDTH - _LEFT - 30) / BINS
    floor, room = _HEIGHT - 22, _HEIGHT - 34
    parts = [label(_LEFT - 6, 20, f"{highest:,}", text_anchor="end", opacity=0.75)]
    for place, (failed, successful) in enumerate(bins):
        low, high = place * longest / BINS, (place + 1) * longest / BINS
        counts = f"{successful:,} successful, {failed:,} failed"
        said = title(f"{format_duration(low)} to {format_duration(high)}: {counts}")
        y = float(floor)
        for count, colour in ((successful, BLUE), (failed, RED)):
            if count:
                tall = max(count / highest * room, 1.5)
                y -= tall
                parts.append(
                    tag(
                        "rect",
                        said,
                        x=_LEFT + place * width + 0.5,
                        y=y,
                        width=width - 1,
                        height=tall,
                        fill=colour,
                    )
                )
    parts += time_axis(_LEFT, floor, _WIDTH - _LEFT - 30, longest)
    return embed_live(picture(_WIDTH, _HEIGHT, "latencies", parts))


def _render_errors(summary: Summary) -> Iterator[str]:
    if not summary.errors:
        return
    rows = [
        (
            f"{group.count:,}",
            shorten_and_escape(group.type, 40),
            f"{group.index}",
            shorten_and_escape(group.error, 90),
        )
        for group in summary.errors[:MOST_ROWS]
    ]
    yield _render_table(("failures", "type", "e.g. item", "error"), rows)
    yield _render_more(len(summary.errors), "kind")


def _render_failures(failed: Sequence[FailedItem], total: int) -> Iterator[str]:
    if not failed:
        return
    rows = [
        (f"{each.index}", shorten_and_escape(each.input, 60), shorten_and_escape(each.error, 90))
        for each in failed
    ]
    yield "<details><summary>failed items</summary>"
    yield _render_table(("item", "input", "error"), rows)
    yield f"{_render_more(total, 'item')}</details>"


def _render_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"
    names = "".join(
        f'<th style="{cells};opacity:.75;white-space:nowrap">{name}</th>' for name in head
    )
    # Texts of users may contain a word that is wider than the page.
    wraps = [
        "overflow-wrap:anywhere" if name in ("input", "error") else "white-space:nowrap"
        for name in head
    ]
    lines = "".join(
        f'<tr style="{_LINE};background:none">'
        + "".join(
            f'<td style="{cells};{wrap}"><bdi>{cell}</bdi></td>'
            for cell, wrap in zip(row, wraps, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    style = "border-collapse:collapse;margin:4px 0"
    return f'<table style="{style}"><tr style="background:none">{names}</tr>{lines}</table>'


def _render_more(total: int, noun: str) -> str:
    rest = total - MOST_ROWS
    if rest <= 0:
        return ""
    return f'<div style="opacity:.75">… and {rest:,} more {noun}{"s" * (rest > 1)}</div>'
