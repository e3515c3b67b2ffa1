"""The timeline of a run: who was at work when, where slots idled, and what held it up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from html import escape

from .history import UNFINISHED, History, Line, Visit
from .picture import Picture
from .svg import (
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
from .text import counted, duration, fitted, in_lines, shortened

LEFT = 46
MOST_LANES = 40
MOST_BARS = 3_000
MOSTLY = 0.9
"""What is at work for less of its time than this is shown paler."""

BUSY = 0.75
"""A stage whose slots are at work for more of the time than this holds up the others."""

_ROW_HEIGHTS = ((12, 18), (30, 11), (60, 7))


class Timeline(Picture):
    """The lanes of each stage over time.

    Attributes:
        bottleneck: Which stage held up the run, in words.
    """

    def __init__(self, history: History) -> None:
        self.bottleneck = _bottleneck(history)
        super().__init__(_drawn(history, self.bottleneck))


@dataclass(slots=True)
class _Bar:
    """Visits of one lane that are drawn as one, because they are too short to be told apart."""

    start: float
    end: float
    visits: list[Visit]

    def busy(self) -> float:
        """Return which part of the time of the bar was work, and not the gaps between visits."""
        lasted = self.end - self.start
        at_work = sum(visit.end - visit.start for visit in self.visits)
        return min(at_work / lasted, 1.0) if lasted else 1.0


def _drawn(history: History, bottleneck: str) -> str:
    lines = [line for line in history.lines if line.visits]
    if not lines:
        return notes_only("timeline", "nothing was recorded")
    lanes = [_lanes(line) for line in lines]
    rows = sum(min(len(of_line), MOST_LANES) for of_line in lanes)
    height = next((height for most, height in _ROW_HEIGHTS if rows <= most), 4)
    width = WIDTH - LEFT - RIGHT
    scale = width / (history.span or 1.0)
    bars = _merged([of_line[:MOST_LANES] for of_line in lanes], scale)
    parts: list[str] = []
    y = float(TOP)
    for place, line in enumerate(lines):
        colour = PALETTE[place % len(PALETTE)]
        parts.append(_heading(history, line, len(lanes[place]), y))
        y += 10
        for lane, of_lane in enumerate(bars[place]):
            parts.append(_row(lane, y, height, width))
            parts += [_bar(bar, line, lane, y, height, scale, colour) for bar in of_lane]
            y += height
        y += 26
    y -= 16
    parts += time_axis(LEFT, y, width, history.span)
    all_bars = [bar for of_line in bars for of_lane in of_line for bar in of_lane]
    parts += legend(LEFT, y + 42, list(_meanings(all_bars)))
    said = in_lines([bottleneck, *_said(history)], width)
    parts += notes(LEFT, y + 66, said, width)
    return picture(WIDTH, y + 58 + 18 * len(said), "timeline", parts)


def _lanes(line: Line) -> list[list[Visit]]:
    """Sort visits into lanes, and find a lane for those that have none of their own."""
    visits = sorted(
        (visit for visit in line.visits if visit.item is not None), key=lambda visit: visit.start
    )
    own = all(visit.lane is not None for visit in visits) and _one_after_another(visits)
    lanes: dict[int, list[Visit]] = {}
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for visit in visits:
        while busy and busy[0][0] <= visit.start:
            heappush(free, heappop(busy)[1])
        lane = heappop(free) if free else len(busy)
        heappush(busy, (visit.end, lane))
        lanes.setdefault(visit.lane if own and visit.lane is not None else lane, []).append(visit)
    return [lanes[lane] for lane in sorted(lanes)]


def _one_after_another(visits: Sequence[Visit]) -> bool:
    """Tell whether no two runs were at work at the same time, so that their lanes are the same."""
    ends: dict[int, float] = {}
    for visit in visits:
        if any(run != visit.run and end > visit.start for run, end in ends.items()):
            return False
        ends[visit.run] = max(ends.get(visit.run, 0.0), visit.end)
    return True


def _merged(lanes: list[list[list[Visit]]], scale: float) -> list[list[list[_Bar]]]:
    """Draw neighbours that are too short as one bar, the more so the more there are."""
    pixels = 1.5
    while True:
        bars = [[_bars(visits, pixels / scale) for visits in of_line] for of_line in lanes]
        if sum(len(of_lane) for of_line in bars for of_lane in of_line) <= MOST_BARS:
            return bars
        pixels *= 2


def _bars(visits: Sequence[Visit], shortest: float) -> list[_Bar]:
    bars: list[_Bar] = []
    for visit in visits:
        last = bars[-1] if bars else None
        if (
            last is not None
            and visit.start - last.end < shortest / 2
            and (last.end - last.start < shortest or visit.end - visit.start < shortest)
            and visit.end - last.start < 8 * shortest
        ):
            last.end = max(last.end, visit.end)
            last.visits.append(visit)
        else:
            bars.append(_Bar(visit.start, visit.end, [visit]))
    return bars


def _heading(history: History, line: Line, used: int, y: float) -> str:
    limit = line.info.limit
    slots = counted(limit, "slot") if used >= limit else f"{used:,} of {limit:,} slots used"
    visits = [visit for visit in line.visits if visit.item is not None]
    parts = [
        f"{slots}, {_busy(history, line):.0%} busy",
        counted(len(visits), "item"),
        *_numbers(line.visits),
    ]
    words = " · ".join(parts)
    if used > MOST_LANES:
        words += f" · {MOST_LANES} lanes shown"
    name = escape(fitted(line.info.stage, WIDTH - LEFT - RIGHT - 520, bold=True))
    numbers = tag("tspan", escape(fitted(words, 510)), dx=10, opacity=0.85)
    # Isolated, so that a name that runs from right to left does not take the numbers with it.
    isolated = tag("tspan", f"\u2068{name}\u2069", font_weight=600)
    return tag("text", isolated + numbers, x=LEFT, y=y + 2)


def _numbers(visits: Sequence[Visit]) -> Iterator[str]:
    for kind in ("failed", "dropped", "cancelled", UNFINISHED):
        number_of_kind = sum(visit.kind == kind for visit in visits)
        if number_of_kind:
            yield f"{number_of_kind:,} {kind}"
    retries = sum(len(visit.retries) for visit in visits)
    if retries:
        yield f"retried {counted(retries, 'time')}"


def _row(lane: int, y: float, height: float, width: float) -> str:
    tall = height - 1.5
    row = tag("rect", x=LEFT, y=y, width=width, height=tall, fill_opacity=0.08)
    if height < 9:
        return row
    return row + label(LEFT - 7, y + height - 5, lane, text_anchor="end", font_size=9, opacity=0.7)


def _bar(
    bar: _Bar, line: Line, lane: int, y: float, height: float, scale: float, colour: str
) -> str:
    kinds = {visit.kind for visit in bar.visits}
    first = bar.visits[0]
    if len(bar.visits) == 1:
        index = first.item[2] if first.item else "?"
        told = [f"item {index}, lane {lane}", first.told(line.info.stage)]
    else:
        when = f"{duration(bar.start)} to {duration(bar.end)}"
        items = f"{len(bar.visits):,} items, lane {lane}, {when}, {bar.busy():.0%} busy"
        told = [items, *_numbers(bar.visits)]
    pale = kinds <= {"dropped", "cancelled", UNFINISHED}
    x = LEFT + bar.start * scale
    width = max((bar.end - bar.start) * scale - 0.6, 1.0)
    box = {"x": x, "y": y, "height": height - 1.5}
    faint = 0.45 if pale else 0.25 + 0.75 * bar.busy()
    opacity = None if faint > MOSTLY else f"{faint:.2f}"
    drawn = tag("rect", title(*told), width=width, fill=colour, fill_opacity=opacity, **box)
    failed = sum(visit.kind == "failed" for visit in bar.visits)
    if failed:
        # Of items that are drawn as one, as much is red as has failed.
        red = max(width * failed / len(bar.visits), 0.8)
        drawn += tag("rect", width=red, fill=RED, pointer_events="none", **box)
    marks = [retry for visit in bar.visits for retry in visit.retries] if height > 9 else []
    return drawn + "".join(_retried(LEFT + retry * scale, y) for retry in marks[:9])


def _retried(x: float, y: float) -> str:
    mark = f"M{number(x - 3.5)} {number(y)}h7l-3.5 6z"
    return tag("path", d=mark, fill="#fff", stroke="#0008", pointer_events="none")


def _meanings(bars: Sequence[_Bar]) -> Iterator[tuple[str, str]]:
    visits = [visit for bar in bars for visit in bar.visits]
    kinds = {visit.kind for visit in visits}
    box = {"y": -5, "width": 12, "height": 10}
    yield tag("rect", fill=PALETTE[0], **box), "at work"
    if any(bar.busy() < MOSTLY for bar in bars):
        yield tag("rect", fill=PALETTE[0], fill_opacity="0.6", **box), "many items, with gaps"
    if "failed" in kinds:
        yield tag("rect", fill=RED, **box), "failed"
    if kinds & {"dropped", "cancelled", UNFINISHED}:
        yield tag("rect", fill=PALETTE[0], fill_opacity=0.45, **box), "dropped or cancelled"
    if any(visit.retries for visit in visits):
        yield tag("rect", fill=PALETTE[0], **box) + _retried(6, -5), "tried again"
    yield tag("rect", fill_opacity=0.08, **box), "idle"


def _said(history: History) -> Iterator[str]:
    if history.left_out:
        yield f"The trace was full: {history.left_out:,} older events were left out."


def _busy(history: History, line: Line) -> float:
    """Return which part of their time, while their runs lasted, the slots were at work."""
    at_work = sum(visit.end - visit.start for visit in line.visits)
    lasted = sum(history.lasted(run) for run in {visit.run for visit in line.visits})
    return min(at_work / (line.info.limit * lasted), 1.0) if lasted else 0.0


def _bottleneck(history: History) -> str:
    lines = [line for line in history.lines if line.visits]
    if not lines:
        return "Nothing was recorded."
    busy = {place: _busy(history, line) for place, line in enumerate(lines)}
    most = max(busy, key=lambda place: busy[place])
    info = lines[most].info
    name, slots = f"'{shortened(info.stage, 28)}'", counted(info.limit, "slot")
    share = f"{busy[most]:.0%}"
    if busy[most] >= BUSY:
        verb = "was" if info.limit == 1 else "were"
        others = [part for place, part in busy.items() if place != most]
        least = f", those of the other stages at most {max(others):.0%}" if others else ""
        return f"Bottleneck: {name}. Its {slots} {verb} at work {share} of the time{least}."
    words = f"No stage was a bottleneck: {name}, the busiest, was at work {share} of the time."
    started = max(visit.start for line in lines for visit in line.visits)
    tail = 1 - started / history.span if history.span else 0.0
    if tail >= 0.25:
        return f"{words} For {tail:.0%} of it, at the end, nothing was left to start."
    return f"{words} It waited for inputs, or for results to be taken."
