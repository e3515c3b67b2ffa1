"""Which item each lane worked on, over time: the bars of a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from .history import Line, Visit

MOST_BARS = 3_000


@dataclass(slots=True)
class Bar:
    """Visits of one lane that are drawn as one, because they are too short to be seen apart."""

    start: float
    end: float
    visits: list[Visit]

    def compute_busy_share(self) -> float:
        """Return the share of the time of the bar that was work, and not gaps between visits."""
        lasted = self.end - self.start
        at_work = sum(visit.end - visit.start for visit in self.visits)
        return min(at_work / lasted, 1.0) if lasted else 1.0


def sort_into_lanes(line: Line) -> list[list[Visit]]:
    """Sort visits into lanes, and choose a lane for those that have none."""
    visits = sorted(
        (visit for visit in line.visits if visit.item is not None), key=lambda visit: visit.start
    )
    own = all(visit.lane is not None for visit in visits) and _are_runs_sequential(visits)
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


def merge_into_bars(lanes: list[list[list[Visit]]], scale: float) -> list[list[list[Bar]]]:
    """Merge neighbours that are too short; if there are over MOST_BARS bars, longer ones too."""
    pixels = 1.5
    while True:
        bars = [[_merge_short(visits, pixels / scale) for visits in of_line] for of_line in lanes]
        if sum(len(of_lane) for of_line in bars for of_lane in of_line) <= MOST_BARS:
            return bars
        pixels *= 2


def _are_runs_sequential(visits: Sequence[Visit]) -> bool:
    """Return whether no two runs overlapped, so that they can share their lanes in the picture."""
    ends: dict[int, float] = {}
    for visit in visits:
        if any(run != visit.run and end > visit.start for run, end in ends.items()):
            return False
        ends[visit.run] = max(ends.get(visit.run, 0.0), visit.end)
    return True


def _merge_short(visits: Sequence[Visit], shortest: float) -> list[Bar]:
    bars: list[Bar] = []
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
            bars.append(Bar(visit.start, visit.end, [visit]))
    return bars
