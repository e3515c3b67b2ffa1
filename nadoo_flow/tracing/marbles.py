"""The marble diagram of a run: a line for each stage, a marble for each item at its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .._support.text import estimate_width, wrap_lines
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
from .arrangement import Arrangement, Marble, Path, arrange
from .history import UNFINISHED, History, Line

FEW = 40
"""Up to so many items have their paths drawn all the time, and not only on hover."""

_STYLE = (
    ".nadoo-path{opacity:0;pointer-events:none}"
    ".nadoo-item:hover .nadoo-path{opacity:1}"
    ".nadoo-item:hover .nadoo-marble{stroke:currentColor;stroke-width:2}"
)


class Marbles(Picture):
    """A marble diagram."""

    def __init__(self, history: History) -> None:
        super().__init__(_draw(history))


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The coordinates of the picture."""

    left: float
    scale: float
    ys: list[float]
    pitch: float

    def x(self, seconds: float) -> float:
        return self.left + seconds * self.scale

    def y(self, marble: Marble) -> float:
        return self.ys[marble.line] - self.pitch * marble.level


def _draw(history: History) -> str:
    lines = history.lines
    if not any(line.visits for line in lines):
        return notes_only("marble diagram", "nothing was recorded")
    left = _compute_label_width([line.info.stage for line in lines])
    width = WIDTH - left - RIGHT
    arrangement = arrange(history, left, width)
    shown = arrangement.paths
    ys, bottom = _compute_heights(arrangement)
    sheet = _Sheet(left, width / (history.span or 1.0), ys, arrangement.pitch)
    parts = [_draw_stage_line(line, y, left) for line, y in zip(lines, ys, strict=True)]
    if len(shown) <= FEW:
        parts += [_draw_trail(path, sheet, opacity=0.25) for path in shown]
    parts += [_draw_item(path, lines, sheet, arrangement.radius) for path in shown]
    parts += time_axis(left, bottom, width, history.span)
    parts += legend(left, bottom + 42, list(_explain_symbols(lines)))
    sentences = wrap_lines(_note_omissions(history, arrangement), width)
    parts += notes(left, bottom + 64, sentences, width)
    height = bottom + 54 + 18 * len(sentences)
    return picture(WIDTH, height, "marble diagram", parts, _STYLE)


def _compute_label_width(names: Sequence[str]) -> float:
    """Return how much room names need on the left, in pixels."""
    return min(26 + max(estimate_width(name[:80], bold=True) for name in names), 210)


def _compute_heights(arrangement: Arrangement) -> tuple[list[float], float]:
    """Give each line as much room above it as its highest pile needs."""
    ys: list[float] = []
    y = float(TOP)
    for pile in arrangement.piles:
        y += arrangement.pitch * pile + arrangement.radius + 8
        ys.append(y)
        y += arrangement.radius + 16
    return ys, y + 6


def _draw_stage_line(line: Line, y: float, left: float) -> str:
    arrow = f"M{number(left - 8)} {number(y)}H{number(WIDTH - 8)}m-5 -4l6 4l-6 4"
    drawn = tag("path", d=arrow, stroke="currentColor", stroke_opacity=0.5, fill="none")
    name = tag(
        "g",
        title(line.info.stage, f"max_concurrency: {line.info.max_concurrency}")
        + label(left - 16, y + 4, line.info.stage, left - 20, text_anchor="end", font_weight=600),
    )
    return drawn + name


def _draw_item(path: Path, lines: Sequence[Line], sheet: _Sheet, radius: float) -> str:
    index = _get_index(path)
    head = "an item that came when there was no room" if index is None else f"item {index}"
    visits = [marble.visit.describe(lines[marble.line].info.stage) for marble in path]
    parts = [title(head, *visits), _draw_trail(path, sheet, class_="nadoo-path")]
    parts += [
        _draw_marble(marble, sheet.y(marble), radius, _choose_colour(path), index)
        for marble in path
    ]
    return tag("g", "".join(parts), class_="nadoo-item")


def _get_index(path: Path) -> int | None:
    item = path[0].visit.item
    return None if item is None else item[2]


def _choose_colour(path: Path) -> str:
    index = _get_index(path)
    return PALETTE[-1 if index is None else index % len(PALETTE)]


def _draw_trail(path: Path, sheet: _Sheet, **attributes: object) -> str:
    d = ""
    for marble in path:
        y = number(sheet.y(marble))
        d += f"{'L' if d else 'M'}{number(sheet.x(marble.visit.start))} {y}"
        d += f"H{number(marble.x)}"
        for retry in marble.visit.retries:
            d += f"M{number(sheet.x(retry))} {y}m0 -5v10"
        if marble.visit.retries:
            d += f"M{number(marble.x)} {y}"
    return tag("path", d=d, fill="none", stroke=_choose_colour(path), stroke_width=2, **attributes)


def _draw_marble(marble: Marble, y: float, radius: float, colour: str, index: int | None) -> str:
    x, kind = marble.x, marble.visit.kind
    if kind in ("finished", "failed"):
        fill = RED if kind == "failed" else colour
        drawn = tag("circle", cx=x, cy=y, r=radius, fill=fill, class_="nadoo-marble")
    else:
        drawn = tag(
            "circle",
            cx=x,
            cy=y,
            r=radius - 0.75,
            fill=colour,
            fill_opacity=0.12,
            stroke=colour,
            stroke_width=1.5,
            stroke_dasharray=None if kind == "dropped" else "2 2",
            class_="nadoo-marble",
        )
    if kind == "failed":
        return drawn + _draw_cross(x, y, radius)
    # In a smaller marble the number could not be read.
    if index is not None and radius >= 7 and len(str(index)) <= (radius - 1) / 3:
        drawn += tag(
            "text",
            str(index),
            x=x,
            y=y + 3.5,
            text_anchor="middle",
            font_size=9.5 if radius > 9 else 8,
            fill="#fff" if kind == "finished" else None,
            pointer_events="none",
        )
    return drawn


def _draw_cross(x: float, y: float, radius: float) -> str:
    arm = number(radius * 0.5)
    far = number(radius)
    d = f"M{number(x)} {number(y)}m-{arm} -{arm}l{far} {far}m-{far} 0l{far} -{far}"
    width = max(radius / 5, 1)
    return tag("path", d=d, stroke="#fff", stroke_width=width, fill="none", pointer_events="none")


def _explain_symbols(lines: Sequence[Line]) -> Iterator[tuple[str, str]]:
    kinds = {visit.kind for line in lines for visit in line.visits}
    r = 6.0
    if "finished" in kinds:
        yield tag("circle", cx=r, r=r, fill=PALETTE[0]), "finished"
    if "failed" in kinds:
        yield tag("circle", cx=r, r=r, fill=RED) + _draw_cross(r, 0, r), "failed"
    hollow = {"cx": r, "r": r - 1, "fill": "none", "stroke": PALETTE[0], "stroke_width": 1.5}
    if "dropped" in kinds:
        yield tag("circle", **hollow), "dropped"
    if kinds & {"cancelled", UNFINISHED}:
        yield tag("circle", stroke_dasharray="2 2", **hollow), "cancelled or unfinished"


def _note_omissions(history: History, arrangement: Arrangement) -> Iterator[str]:
    shown = len(arrangement.paths)
    if arrangement.left_out:
        total = shown + arrangement.left_out
        yield f"{shown:,} of {total:,} items are shown: failures first, the others evenly spread."
    if history.left_out:
        yield f"The trace was full: {history.left_out:,} older events were left out."
