"""The targets of the project, and whether they are met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .cases.executors import IN_THE_LOOP, ON_DASK, ON_PROCESSES
from .cases.pipelines import BY_HAND, FUSED
from .cases.wide import GATHER, OURS_WIDE
from .model import Case, Params
from .report import find, number, table
from .runner import Row
from .ways import BARE, CORE, CORE_BATCH, LANGCHAIN_ABATCH, OURS, OURS_BATCH, RX

NAME = "targets"
MEGABYTES = " MB"


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


@dataclass(frozen=True)
class Target:
    """A figure, and what it should be.

    Attributes:
        text: What the figure is.
        bound: Whether it should be high or low.
        limit: The highest, or lowest, that is good.
        cell: What is measured.
        base: What that is related to, if it does not count by itself.
        unit: What stands behind the figure. Megabytes are related by their difference.
    """

    text: str
    bound: Literal["at most", "at least"]
    limit: float
    cell: Cell
    base: Cell | None = None
    unit: str = "x"

    def figure(self, rows: Mapping[str, Sequence[Row]]) -> float | None:
        """Work the figure out, if all that it needs was measured."""
        value = self.cell.value(rows)
        if value is None or self.base is None:
            return value
        base = self.base.value(rows)
        if base is None:
            return None
        return value - base if self.unit == MEGABYTES else value / base

    def met(self, figure: float) -> bool:
        """Tell whether a figure is good."""
        return figure <= self.limit if self.bound == "at most" else figure >= self.limit


def _short(ours: str) -> str:
    return ours.removeprefix("nadoo-flow").lstrip(", ")


def _per_item(node: str, contestant: str) -> Cell:
    params = {"n": 100_000, "concurrency": 10, "node": node}
    return Cell(f"per-item-{node}", contestant, params)


def _lazy(n: int, *, memory: bool = False) -> Cell:
    return Cell("growth", OURS, {"n": n, "concurrency": 10}, memory)


def _busy(contestant: str) -> Cell:
    params = {"n": 10_000, "concurrency": 100, "latency": "constant"}
    return Cell("utilisation", contestant, params)


def _two_stages(contestant: str) -> Cell:
    params = {"n": 3_000, "concurrency": 20, "stages": 2, "latency": "heavy-tailed"}
    return Cell("pipeline", contestant, params)


def _heartbeat(ours: str, *, collector: bool) -> Target:
    state = "on" if collector else "off"
    return Target(
        f"heartbeat lag, 99th percentile, {_short(ours)}, garbage collector {state}",
        "at most",
        15,
        Cell("heartbeat", ours, {"n": 100_000, "concurrency": 10, "collector": collector}),
        unit=" ms",
    )


def _wide(contestant: str, case: str = "wide") -> Cell:
    return Cell(case, contestant, {"n": 100_000})


def _import(module: str) -> Cell:
    return Cell("import-time", f"import {module}", {"repeats": 5})


def _cost(node: str, limit: float, text: str) -> list[Target]:
    """Limit what both of our ways cost over the bare pool."""
    return [
        Target(
            f"{_short(ours)} over the bare pool, {text}",
            "at most",
            limit,
            _per_item(node, ours),
            _per_item(node, BARE),
        )
        for ours in (OURS_BATCH, OURS)
    ]


def _slower(peer: str, ours: str, limit: float) -> Target:
    text = f"{peer} over {_short(ours)}"
    return Target(text, "at least", limit, _per_item("yield", peer), _per_item("yield", ours))


TARGETS = (
    *_cost("yield", 2.0, "one suspension"),
    *_cost("plain", 5.0, "no suspension"),
    _slower(CORE_BATCH, OURS_BATCH, 5),
    _slower(CORE, OURS, 5),
    _slower(RX, OURS, 10),
    _slower(LANGCHAIN_ABATCH, OURS_BATCH, 25),
    Target(
        "cost of an item at 1M over 10k, as completed",
        "at most",
        1.15,
        _lazy(1_000_000),
        _lazy(10_000),
    ),
    Target(
        "memory at 1M lazy inputs above that at 10k",
        "at most",
        8,
        _lazy(1_000_000, memory=True),
        _lazy(10_000, memory=True),
        MEGABYTES,
    ),
    Target(
        "makespan over the ideal, 10,000 sleeps of 10 ms",
        "at most",
        1.03,
        _busy(OURS_BATCH),
    ),
    Target(
        "the same over the bare pool (what the loop's timers allow)",
        "at most",
        1.03,
        _busy(OURS_BATCH),
        _busy(BARE),
    ),
    Target(
        "two-stage pipeline over the hand-written one",
        "at most",
        1.1,
        _two_stages(FUSED),
        _two_stages(BY_HAND),
    ),
    *(
        _heartbeat(ours, collector=collector)
        for collector in (False, True)
        for ours in (OURS_BATCH, OURS)
    ),
    *(
        Target(
            f"400 items of 5 ms, {_short(IN_THE_LOOP)} over {_short(workers)}",
            "at least",
            limit,
            Cell("executors", IN_THE_LOOP, {"n": 400}),
            Cell("executors", workers, {"n": 400}),
        )
        for workers, limit in ((ON_PROCESSES, 1.6), (ON_DASK, 1.3))
    ),
    Target(
        "100,000 at once over asyncio.gather",
        "at most",
        2.5,
        _wide(OURS_WIDE),
        _wide(GATHER),
    ),
    Target(
        "longest turn of the loop while 100,000 are in work at once, garbage collector off",
        "at most",
        20,
        _wide(OURS_WIDE, "wide-heartbeat"),
        unit=" ms",
    ),
    Target(
        "import nadoo_flow over import reactivex",
        "at most",
        1.25,
        _import("nadoo_flow"),
        _import("reactivex"),
    ),
)


def cases(available: Mapping[str, Case], targets: Iterable[Target] = TARGETS) -> list[Case]:
    """Return the cases that the targets need, without what they do not need of them."""
    needed: dict[str, list[Cell]] = {}
    for target in targets:
        for cell in (target.cell, target.base):
            if cell is not None:
                needed.setdefault(cell.case, []).append(cell)
    return [_only(available[name], cells) for name, cells in needed.items()]


def _only(case: Case, cells: Sequence[Cell]) -> Case:
    contestants = [one for one in case.contestants if any(one.name == c.contestant for c in cells)]
    variants = [params for params in case.variants if any(params == c.params for c in cells)]
    return replace(case, contestants=tuple(contestants), variants=tuple(variants))


def text(rows: Mapping[str, Sequence[Row]], targets: Iterable[Target] = TARGETS) -> str:
    """Write each figure beside its target."""
    lines = []
    for target in targets:
        figure = target.figure(rows)
        verdict = "not measured" if figure is None else "met" if target.met(figure) else "missed"
        shown = "" if figure is None else f"{number(figure)}{target.unit}"
        lines.append([target.text, f"{target.bound} {target.limit}{target.unit}", shown, verdict])
    return f"## {NAME}\n\n{table(['figure', 'target', 'measured', ''], lines)}"
