"""Figures that are made of what was measured, and what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import sub, truediv
from typing import Literal, TypeAlias

from .model import Case, Params
from .report import find, number, table
from .runner import Row


@dataclass(frozen=True)
class Cell:
    """One figure of one case, or its memory."""

    case: str
    contestant: str
    params: Params
    memory: bool = False

    def value(self, rows: Mapping[str, Sequence[Row]]) -> float | None:
        """Return it, if it was measured."""
        row = find(rows.get(self.case, ()), self.contestant, self.params)
        if row is None:
            return None
        return row.peak_mb if self.memory else row.median

    def cells(self) -> Iterator[Cell]:
        """Give the cell itself."""
        yield self


@dataclass(frozen=True)
class Relation:
    """A figure that relates two others.

    Attributes:
        relate: Makes it of the two.
        figure: What is related.
        base: What it is related to.
    """

    relate: Callable[[float, float], float]
    figure: Figure
    base: Figure

    def value(self, rows: Mapping[str, Sequence[Row]]) -> float | None:
        """Work it out, if all that it needs was measured."""
        value, base = self.figure.value(rows), self.base.value(rows)
        return None if value is None or base is None else self.relate(value, base)

    def cells(self) -> Iterator[Cell]:
        """Give all cells that it needs."""
        yield from self.figure.cells()
        yield from self.base.cells()


Figure: TypeAlias = Cell | Relation


def ratio(figure: Figure, base: Figure) -> Relation:
    """Divide one figure by another."""
    return Relation(truediv, figure, base)


def added(figure: Figure, base: Figure) -> Relation:
    """Take one figure from another."""
    return Relation(sub, figure, base)


@dataclass(frozen=True)
class Target:
    """A figure, and what it should be.

    Attributes:
        text: What the figure is.
        bound: Whether it should be high or low.
        limit: The highest, or lowest, that is good; None for what is shown for comparison.
        figure: What is measured.
        unit: What stands behind the figure.
    """

    text: str
    bound: Literal["at most", "at least"]
    limit: float | None
    figure: Figure
    unit: str = "x"

    def judge(self, value: float | None) -> str:
        """Say whether a value of the figure is good."""
        if value is None:
            return "not measured"
        if self.limit is None:
            return "for comparison"
        good = value <= self.limit if self.bound == "at most" else value >= self.limit
        return "met" if good else "missed"


def select(targets: Iterable[Target], names: Iterable[str]) -> list[Target]:
    """Return the targets that need these cases and no others."""
    chosen = set(names)
    return [one for one in targets if all(cell.case in chosen for cell in one.figure.cells())]


def cases(available: Mapping[str, Case], targets: Iterable[Target]) -> list[Case]:
    """Return the cases that the targets need, without what they do not need of them."""
    needed: dict[str, list[Cell]] = {}
    for target in targets:
        for cell in target.figure.cells():
            needed.setdefault(cell.case, []).append(cell)
    return [_only(available[name], cells) for name, cells in needed.items()]


def _only(case: Case, cells: Sequence[Cell]) -> Case:
    contestants = [one for one in case.contestants if any(one.name == c.contestant for c in cells)]
    variants = [params for params in case.variants if any(params == c.params for c in cells)]
    return replace(case, contestants=tuple(contestants), variants=tuple(variants))


def text(rows: Mapping[str, Sequence[Row]], targets: Iterable[Target]) -> str:
    """Write each figure beside its target."""
    lines = []
    for target in targets:
        value = target.figure.value(rows)
        shown = "" if value is None else f"{number(value)}{target.unit}"
        wanted = "" if target.limit is None else f"{target.bound} {target.limit:g}{target.unit}"
        lines.append([target.text, wanted, shown, target.judge(value)])
    return f"## targets\n\n{table(['figure', 'target', 'measured', ''], lines)}"
