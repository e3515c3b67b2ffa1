"""The arrangement of marbles: each at its time, none on another, as many as there is room for."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TypeAlias

from .history import History, Visit

MOST_MARBLES = 2_000
_SIZES = ((10.0, 3), (7.0, 5), (4.5, 8), (3.0, 14))
"""Radius of the marbles, and how many may be piled up on a line; the largest that fit are taken."""


@dataclass(slots=True)
class Marble:
    """The end of one visit, on the line of its stage.

    Attributes:
        line: Which line, from 0.
        visit: The visit that it shows.
        x: Its place on the line, in pixels.
        level: How many marbles lie below it.
    """

    line: int
    visit: Visit
    x: float
    level: int = 0


Path: TypeAlias = "list[Marble]"
"""The marbles of one item, in the order of the lines."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The marbles that are shown, and their size.

    Attributes:
        paths: The items that are shown, in the order in which they came.
        left_out: How many items have no room.
        radius: The radius of every marble, in pixels.
        piles: The highest level on each line.
    """

    paths: list[Path]
    left_out: int
    radius: float
    piles: list[int]

    @property
    def pitch(self) -> float:
        """The distance between two marbles of a pile, in pixels."""
        return 2 * self.radius + 1


def arrange(history: History, left: float, width: float) -> Arrangement:
    """Choose a size and find room for each item; those without room are left out.

    Failures come first, then the others, evenly spread over their order.
    """
    paths = _build_paths(history, left, width)
    ranked = sorted(enumerate(paths), key=lambda at: (not _has_failed(at[1]), _rank_evenly(at[0])))
    radius, shown = 0.0, list[Path]()
    for radius, most in _SIZES:
        floors = [[list[float]() for _ in range(most)] for _ in history.lines]
        room, shown = MOST_MARBLES, []
        for _, path in ranked:
            if len(path) <= room and _place(path, floors, 2 * radius + 1):
                shown.append(path)
                room -= len(path)
        if len(shown) == len(paths):
            break
    piles = [0] * len(history.lines)
    for path in shown:
        for marble in path:
            piles[marble.line] = max(piles[marble.line], marble.level)
    shown.sort(key=lambda path: path[0].visit.end)
    return Arrangement(shown, len(paths) - len(shown), radius, piles)


def _build_paths(history: History, left: float, width: float) -> list[Path]:
    paths: dict[object, Path] = {}
    scale = width / (history.span or 1.0)
    for place, line in enumerate(history.lines):
        for visit in line.visits:
            key = id(visit) if visit.item is None else visit.item
            paths.setdefault(key, []).append(Marble(place, visit, left + visit.end * scale))
    return list(paths.values())


def _has_failed(path: Path) -> bool:
    return path[-1].visit.kind == "failed"


def _rank_evenly(place: int) -> int:
    """Rank places so that the first so many are evenly spread, and hit no pattern in the items."""
    return place * 2_654_435_769 % 2**32  # 2**32 over the golden ratio


def _place(path: Path, floors: list[list[list[float]]], apart: float) -> bool:
    levels = [_find_free_level(floors[marble.line], marble.x, apart) for marble in path]
    if any(level is None for level in levels):
        return False
    for marble, level in zip(path, levels, strict=True):
        marble.level = level or 0
        insort(floors[marble.line][marble.level], marble.x)
    return True


def _find_free_level(levels: list[list[float]], x: float, apart: float) -> int | None:
    for number_of_level, taken in enumerate(levels):
        place = bisect_left(taken, x)
        if all(abs(x - other) >= apart for other in taken[max(place - 1, 0) : place + 1]):
            return number_of_level
    return None
