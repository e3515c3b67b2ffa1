"""The events of a trace, combined into visits of items to stages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from .._support.text import format_duration
from ..events.event import Event, RunInfo, StageInfo

ItemKey: TypeAlias = "tuple[int, int, int]"
"""One item at all its stages: the run, how often that has renumbered its items, and the index."""

UNFINISHED = "unfinished"


@dataclass(slots=True)
class Visit:
    """One item at one stage, from its start to its end, in seconds since the trace began."""

    item: ItemKey | None
    run: int
    start: float
    end: float
    lane: int | None
    kind: str = UNFINISHED
    error: str | None = None
    retries: list[float] = field(default_factory=list)

    def describe(self, stage: str) -> str:
        """Describe the visit in one line."""
        when = f"{format_duration(self.start)} to {format_duration(self.end)}"
        times = len(self.retries)
        tries = f" after {times} {'retry' if times == 1 else 'retries'}" if times else ""
        why = f": {self.error}" if self.error else ""
        return f"{stage}: {when}, {self.kind}{tries}{why}"


@dataclass(slots=True)
class Line:
    """One stage, in all runs in which it stood at the same place."""

    info: StageInfo
    visits: list[Visit] = field(default_factory=list)


class _Place(NamedTuple):
    stages: tuple[StageInfo, ...]
    position: int


class History:
    """The visits of all items to all stages.

    Attributes:
        lines: One for each stage, in the order in which they were seen.
        span: Seconds from the first event to the last.
        left_out: How many events were left out of the trace.
    """

    def __init__(self, events: Sequence[Event], runs: Iterable[RunInfo], left_out: int) -> None:
        self._begin = min((event.time for event in events), default=0.0)
        self.span = max((event.time for event in events), default=0.0) - self._begin
        self.left_out = left_out
        self._runs = {run.number: run for run in runs}
        self._lines: dict[_Place, Line] = {}
        self._spans: dict[int, tuple[float, float]] = {}
        self._open: dict[tuple[int, int, int | None], Visit] = {}
        for event in sorted(events, key=lambda event: event.time):
            self._add(event)
        for visit in self._open.values():
            visit.end = self.span
        self.lines = list(self._lines.values())

    def get_duration(self, run: int) -> float:
        """Return how many seconds a run took."""
        begin, end = self._spans[run]
        return end - begin

    def _add(self, event: Event) -> None:
        run = self._runs.get(event.run)
        if run is None:
            return
        for position, info in enumerate(run.stages):
            self._lines.setdefault(_Place(run.stages, position), Line(info))
        when = event.time - self._begin
        begin, _ = self._spans.get(event.run, (when, when))
        self._spans[event.run] = begin, when
        place = (event.run, event.position, event.index)
        visit = self._open.get(place)
        if visit is None:
            # The trace was full and left its start out, so only its end is known.
            visit = Visit(_build_item_key(run, event), event.run, when, when, event.lane)
            self._lines[_Place(run.stages, event.position)].visits.append(visit)
            self._open[place] = visit
        if event.kind == "retried":
            visit.retries.append(when)
        elif event.kind != "started":
            visit.kind, visit.end, visit.error = event.kind, when, event.error
            del self._open[place]


def _build_item_key(run: RunInfo, event: Event) -> ItemKey | None:
    if event.index is None:
        return None
    renumbered = sum(stage.renumbers for stage in run.stages[: event.position + 1])
    return event.run, renumbered, event.index
