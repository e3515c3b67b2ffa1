"""The marble diagram of a run: a line for each stage, a marble for each item at its time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .history import UNFINISHED, History, Line, Visit
from .picture import Picture
from .svg import PALETTE, RED, label, legend, notes, number, picture, tag, time_axis, title
from .text import width_of

WIDTH, RIGHT, TOP = 960, 30, 16
_SIZES = ((10.0, 3), (7.0, 5), (4.5, 8), (3.0, 14))
"""Radius of the marbles, and how many may be piled up on a line; the largest that fit are taken."""
MOST_MARBLES = 2_000
FEW = 40
"""So few items have their paths shown without being pointed at."""

_STYLE = (
    ".nadoo-path{opacity:0;pointer-events:none;fill:none;stroke-width:2}"
    ".nadoo-few .nadoo-path{opacity:.25}"
    ".nadoo-item:hover .nadoo-path{opacity:1}"
    ".nadoo-item:hover .nadoo-marble{stroke:currentColor;stroke-width:2}"
)


class Marbles(Picture):
    """A marble diagram."""

    def __init__(self, history: History) -> None:
        super().__init__(_drawn(history))


@dataclass(slots=True)
class _Marble:
    line: int
    visit: Visit
    x: float
    level: int = 0


_Path = list[_Marble]


def _drawn(history: History) -> str:
    lines = history.lines
    if not any(line.visits for line in lines):
        return notes_only("marble diagram", "nothing was recorded")
    left = label_width([line.info.stage for line in lines])
    width = WIDTH - left - RIGHT
    paths = _paths(history, left, width)
    radius, shown = _arranged(paths, len(lines))
    ys, bottom = _heights(shown, radius, len(lines))
    parts = [_stage_line(line, y, left) for line, y in zip(lines, ys, strict=True)]
    few = "nadoo-few" if len(shown) <= FEW else "nadoo-many"
    items = "".join(_item(path, history, ys, radius, left, width) for path in shown)
    parts.append(tag("g", items, class_=few))
    parts += time_axis(left, bottom, width, history.span)
    parts += legend(left, bottom + 42, list(_meanings(lines)))
    said = list(_said(history, len(paths), len(shown)))
    parts += notes(left, bottom + 64, said)
    height = bottom + 54 + 18 * len(said)
    return picture(WIDTH, height, "marble diagram", parts, _STYLE)


def notes_only(name: str, words: str) -> str:
    """Draw a picture that only says something."""
    return picture(WIDTH, 48, name, [label(WIDTH / 2, 28, words, text_anchor="middle")])


def label_width(names: Sequence[str]) -> float:
    """Return how much room names need on the left."""
    return min(26 + max(width_of(name[:80], bold=True) for name in names), 210)


def _paths(history: History, left: float, width: float) -> list[_Path]:
    """Put the marbles of each item together, in the order of the lines."""
    paths: dict[object, _Path] = {}
    scale = width / (history.span or 1.0)
    for place, line in enumerate(history.lines):
        for visit in line.visits:
            key = id(visit) if visit.item is None else visit.item
            paths.setdefault(key, []).append(_Marble(place, visit, left + visit.end * scale))
    return list(paths.values())


def _arranged(paths: list[_Path], lines: int) -> tuple[float, list[_Path]]:
    """Choose a size and find room for each item; those without room are left out.

    Failures come first, then the others, evenly spread over their order.
    """
    ranked = sorted(enumerate(paths), key=lambda at: (not _has_failed(at[1]), _spread(at[0])))
    radius, shown = 0.0, list[_Path]()
    for radius, most in _SIZES:
        floors = [[list[float]() for _ in range(most)] for _ in range(lines)]
        room, shown = MOST_MARBLES, []
        for _, path in ranked:
            if len(path) <= room and _placed(path, floors, 2 * radius + 1):
                shown.append(path)
                room -= len(path)
        if len(shown) == len(paths):
            break
    return radius, sorted(shown, key=lambda path: path[0].visit.end)


def _has_failed(path: _Path) -> bool:
    return path[-1].visit.kind == "failed"


def _spread(place: int) -> int:
    """Rank places so that the first so many are evenly spread, and hit no pattern in the items."""
    return place * 2_654_435_769 % 2**32  # 2**32 over the golden ratio


def _placed(path: _Path, floors: list[list[list[float]]], apart: float) -> bool:
    levels = [_free_level(floors[marble.line], marble.x, apart) for marble in path]
    if any(level is None for level in levels):
        return False
    for marble, level in zip(path, levels, strict=True):
        marble.level = level or 0
        insort(floors[marble.line][marble.level], marble.x)
    return True


def _free_level(levels: list[list[float]], x: float, apart: float) -> int | None:
    for number_of_level, taken in enumerate(levels):
        place = bisect_left(taken, x)
        if all(abs(x - other) >= apart for other in taken[max(place - 1, 0) : place + 1]):
            return number_of_level
    return None


def _heights(shown: list[_Path], radius: float, lines: int) -> tuple[list[float], float]:
    """Give each line as much room above it as its highest pile needs."""
    piles = [0] * lines
    for path in shown:
        for marble in path:
            piles[marble.line] = max(piles[marble.line], marble.level)
    ys: list[float] = []
    y = float(TOP)
    for pile in piles:
        y += (2 * radius + 1) * pile + radius + 8
        ys.append(y)
        y += radius + 16
    return ys, y + 6


def _stage_line(line: Line, y: float, left: float) -> str:
    end = WIDTH - RIGHT + 14
    arrow = f"M{number(left - 8)} {number(y)}H{number(end)}m-5 -4l6 4l-6 4"
    drawn = tag("path", d=arrow, stroke="currentColor", stroke_opacity=0.5, fill="none")
    name = tag(
        "g",
        title(line.info.stage, f"limit: {line.info.limit}")
        + label(left - 16, y + 4, line.info.stage, left - 20, text_anchor="end", font_weight=600),
    )
    return drawn + name


def _item(
    path: _Path, history: History, ys: list[float], radius: float, left: float, width: float
) -> str:
    colour = PALETTE[path[0].visit.item[2] % len(PALETTE)] if path[0].visit.item else PALETTE[-1]
    names = [history.lines[marble.line].info.stage for marble in path]
    index = path[0].visit.item[2] if path[0].visit.item else None
    head = "an item that came when there was no room" if index is None else f"item {index}"
    told = [marble.visit.told(name) for marble, name in zip(path, names, strict=True)]
    parts = [title(head, *told), _trail(path, history, ys, radius, left, width, colour)]
    for marble in path:
        y = ys[marble.line] - (2 * radius + 1) * marble.level
        parts.append(_marble(marble, y, radius, colour, index))
    return tag("g", "".join(parts), class_="nadoo-item")


def _trail(
    path: _Path,
    history: History,
    ys: list[float],
    radius: float,
    left: float,
    width: float,
    colour: str,
) -> str:
    scale = width / (history.span or 1.0)
    d = ""
    for marble in path:
        y = number(ys[marble.line] - (2 * radius + 1) * marble.level)
        d += f"{'L' if d else 'M'}{number(left + marble.visit.start * scale)} {y}"
        d += f"H{number(marble.x)}"
        for retry in marble.visit.retries:
            d += f"M{number(left + retry * scale)} {y}m0 -5v10"
        if marble.visit.retries:
            d += f"M{number(marble.x)} {y}"
    return tag("path", d=d, class_="nadoo-path", stroke=colour)


def _marble(marble: _Marble, y: float, radius: float, colour: str, index: int | None) -> str:
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
        drawn += cross(x, y, radius)
    elif index is not None and len(str(index)) <= (radius - 1) / 3:
        ink = "#fff" if kind == "finished" else None
        drawn += tag(
            "text",
            str(index),
            x=x,
            y=y + 3.5,
            text_anchor="middle",
            font_size=9.5 if radius > 9 else 8,
            fill=ink,
            pointer_events="none",
        )
    return drawn


def cross(x: float, y: float, radius: float) -> str:
    """Cross out a marble."""
    arm = number(radius * 0.5)
    far = number(radius)
    d = f"M{number(x)} {number(y)}m-{arm} -{arm}l{far} {far}m-{far} 0l{far} -{far}"
    width = max(radius / 5, 1)
    return tag("path", d=d, stroke="#fff", stroke_width=width, fill="none", pointer_events="none")


def _meanings(lines: Sequence[Line]) -> Iterator[tuple[str, str]]:
    kinds = {visit.kind for line in lines for visit in line.visits}
    r = 6.0
    if "finished" in kinds:
        yield tag("circle", cx=r, r=r, fill=PALETTE[0]), "finished"
    if "failed" in kinds:
        yield tag("circle", cx=r, r=r, fill=RED) + cross(r, 0, r), "failed"
    hollow = {"cx": r, "r": r - 1, "fill": "none", "stroke": PALETTE[0], "stroke_width": 1.5}
    if "dropped" in kinds:
        yield tag("circle", **hollow), "dropped"
    if kinds & {"cancelled", UNFINISHED}:
        yield tag("circle", stroke_dasharray="2 2", **hollow), "cancelled or unfinished"


def _said(history: History, items: int, shown: int) -> Iterator[str]:
    if shown < items:
        yield f"{shown:,} of {items:,} items are shown: failures first, the others evenly spread."
    if history.left_out:
        yield f"The trace was full: {history.left_out:,} older events were left out."
