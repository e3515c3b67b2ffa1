"""The timeline of a run: which item each lane worked on, and when lanes were idle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from .._support.text import format_count, format_duration, shorten_to_width, wrap_lines
from ..drawing.picture import Picture
from ..drawing.svg import (
    PALETTE,
    RED,
    RIGHT,
    TOP,
    WIDTH,
    label,
    legend,
    notes,
    notes_only,
    number,
    picture,
    tag,
    time_axis,
    title,
)
from .bottleneck import compute_busy_share, describe_bottleneck
from .history import UNFINISHED, History, Line, Visit
from .lanes import Bar, merge_into_bars, sort_into_lanes

LEFT = 46
MOST_LANES = 40
MOSTLY = 0.9
"""Bars that were at work for a smaller share of their time than this are drawn paler."""

_ROW_HEIGHTS = ((12, 18), (30, 11), (60, 7))


class Timeline(Picture):
    """The lanes of each stage over time.

    Attributes:
        bottleneck: A sentence on the stage that held up the run.
    """

    def __init__(self, history: History) -> None:
        self.bottleneck = describe_bottleneck(history)
        super().__init__(_draw(history, self.bottleneck))


def _draw(history: History, bottleneck: str) -> str:
    lines = [line for line in history.lines if line.visits]
    if not lines:
        return notes_only("timeline", "nothing was recorded")
    lanes = [sort_into_lanes(line) for line in lines]
    rows = sum(min(len(of_line), MOST_LANES) for of_line in lanes)
    height = next((height for most, height in _ROW_HEIGHTS if rows <= most), 4)
    width = WIDTH - LEFT - RIGHT
    scale = width / (history.span or 1.0)
    bars = merge_into_bars([of_line[:MOST_LANES] for of_line in lanes], scale)
    parts: list[str] = []
    y = float(TOP)
    for place, line in enumerate(lines):
        colour = PALETTE[place % len(PALETTE)]
        parts.append(_draw_heading(history, line, len(lanes[place]), y))
        y += 10
        for lane, of_lane in enumerate(bars[place]):
            parts.append(_draw_row(lane, y, height, width))
            parts += [_draw_bar(bar, line, lane, y, height, scale, colour) for bar in of_lane]
            y += height
        y += 26
    y -= 16
    parts += time_axis(LEFT, y, width, history.span)
    all_bars = [bar for of_line in bars for of_lane in of_line for bar in of_lane]
    parts += legend(LEFT, y + 42, list(_explain_symbols(all_bars)))
    sentences = wrap_lines([bottleneck, *_note_omissions(history)], width)
    parts += notes(LEFT, y + 66, sentences, width)
    return picture(WIDTH, y + 58 + 18 * len(sentences), "timeline", parts)


def _draw_heading(history: History, line: Line, used: int, y: float) -> str:
    limit = line.info.max_concurrency
    slots = format_count(limit, "slot") if used >= limit else f"{used:,} of {limit:,} slots used"
    visits = [visit for visit in line.visits if visit.item is not None]
    parts = [
        f"{slots}, {compute_busy_share(history, line):.0%} busy",
        format_count(len(visits), "item"),
        *_count_kinds(line.visits),
    ]
    words = " · ".join(parts)
    if used > MOST_LANES:
        words += f" · {MOST_LANES} lanes shown"
    name = escape(shorten_to_width(line.info.stage, WIDTH - LEFT - RIGHT - 520, bold=True))
    numbers = tag("tspan", escape(shorten_to_width(words, 510)), dx=10, opacity=0.85)
    # Isolated, so that a name that runs from right to left does not take the numbers with it.
    isolated = tag("tspan", f"\u2068{name}\u2069", font_weight=600)
    return tag("text", isolated + numbers, x=LEFT, y=y + 2)


def _count_kinds(visits: Sequence[Visit]) -> Iterator[str]:
    for kind in ("failed", "dropped", "cancelled", UNFINISHED):
        number_of_kind = sum(visit.kind == kind for visit in visits)
        if number_of_kind:
            yield f"{number_of_kind:,} {kind}"
    retries = sum(len(visit.retries) for visit in visits)
    if retries:
        yield f"retried {format_count(retries, 'time')}"


def _draw_row(lane: int, y: float, height: float, width: float) -> str:
    tall = height - 1.5
    row = tag("rect", x=LEFT, y=y, width=width, height=tall, fill_opacity=0.08)
    if height < 9:
        return row
    return row + label(LEFT - 7, y + height - 5, lane, text_anchor="end", font_size=9, opacity=0.7)


def _draw_bar(
    bar: Bar, line: Line, lane: int, y: float, height: float, scale: float, colour: str
) -> str:
    kinds = {visit.kind for visit in bar.visits}
    first = bar.visits[0]
    if len(bar.visits) == 1:
        index = first.item[2] if first.item else "?"
        lines = [f"item {index}, lane {lane}", first.describe(line.info.stage)]
    else:
        when = f"{format_duration(bar.start)} to {format_duration(bar.end)}"
        items = (
            f"{len(bar.visits):,} items, lane {lane}, {when}, {bar.compute_busy_share():.0%} busy"
        )
        lines = [items, *_count_kinds(bar.visits)]
    pale = kinds <= {"dropped", "cancelled", UNFINISHED}
    x = LEFT + bar.start * scale
    width = max((bar.end - bar.start) * scale - 0.6, 1.0)
    box = {"x": x, "y": y, "height": height - 1.5}
    faint = 0.45 if pale else 0.25 + 0.75 * bar.compute_busy_share()
    opacity = None if faint > MOSTLY else f"{faint:.2f}"
    drawn = tag("rect", title(*lines), width=width, fill=colour, fill_opacity=opacity, **box)
    failed = sum(visit.kind == "failed" for visit in bar.visits)
    if failed:
        # Where many items are one bar, its red part is the share of those that failed.
        red = max(width * failed / len(bar.visits), 0.8)
        drawn += tag("rect", width=red, fill=RED, pointer_events="none", **box)
    marks = [retry for visit in bar.visits for retry in visit.retries] if height > 9 else []
    return drawn + "".join(_draw_retry(LEFT + retry * scale, y) for retry in marks[:9])


def _draw_retry(x: float, y: float) -> str:
    mark = f"M{number(x - 3.5)} {number(y)}h7l-3.5 6z"
    return tag("path", d=mark, fill="#fff", stroke="#0008", pointer_events="none")


def _explain_symbols(bars: Sequence[Bar]) -> Iterator[tuple[str, str]]:
    visits = [visit for bar in bars for visit in bar.visits]
    kinds = {visit.kind for visit in visits}
    box = {"y": -5, "width": 12, "height": 10}
    yield tag("rect", fill=PALETTE[0], **box), "at work"
    if any(bar.compute_busy_share() < MOSTLY for bar in bars):
        yield tag("rect", fill=PALETTE[0], fill_opacity="0.6", **box), "many items, with gaps"
    if "failed" in kinds:
        yield tag("rect", fill=RED, **box), "failed"
    if kinds & {"dropped", "cancelled", UNFINISHED}:
        yield tag("rect", fill=PALETTE[0], fill_opacity=0.45, **box), "dropped or cancelled"
    if any(visit.retries for visit in visits):
        yield tag("rect", fill=PALETTE[0], **box) + _draw_retry(6, -5), "tried again"
    yield tag("rect", fill_opacity=0.08, **box), "idle"


def _note_omissions(history: History) -> Iterator[str]:
    if history.left_out:
        yield f"The trace was full: {history.left_out:,} older events were left out."
