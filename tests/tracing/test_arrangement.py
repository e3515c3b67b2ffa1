"""Which marbles are shown, and where: none on another, failures before all others."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from nadoo_flow.events.event import Event, Kind, RunInfo, StageInfo
from nadoo_flow.tracing.arrangement import MOST_MARBLES, Arrangement, arrange
from nadoo_flow.tracing.history import History


def arrangement(ends: Iterable[float], kind: Kind = "finished", stages: int = 1) -> Arrangement:
    """Arrange items that end so, on a line of 1,000 pixels for each stage."""
    infos = tuple(StageInfo(f"stage {number}", 10) for number in range(stages))
    events = [Event("started", "begin", 1_000_000, 0, 0.0, 1, 0)]
    for index, end in enumerate(ends):
        events += [Event(kind, "stage", index, 0, end, 1, place) for place in range(stages)]
    return arrange(History(events, [RunInfo(1, infos, None)], 0), 100, 1_000)


def test_a_marble_lies_where_its_time_is_on_the_line() -> None:
    paths = arrangement([1.0, 2.0, 4.0]).paths
    assert [(marble.x, marble.level) for (marble,) in paths] == [
        (350, 0),
        (600, 0),
        (1_100, 0),
        (1_100, 1),  # the item that has not ended yet
    ]


@pytest.mark.parametrize(
    ("items", "radius", "shown"), [(2, 10, 3), (4, 7, 5), (7, 4.5, 8), (13, 3, 14), (50, 3, 14)]
)
def test_what_happens_at_one_time_is_piled_up_in_the_largest_size_that_has_room(
    items: int, radius: float, shown: int
) -> None:
    of_one_time = arrangement([1.0] * items)
    assert of_one_time.radius == radius
    assert len(of_one_time.paths) == shown
    assert of_one_time.left_out == items + 1 - shown
    assert of_one_time.piles == [shown - 1]


@pytest.mark.slow
def test_there_are_never_more_than_so_many_however_long_the_line() -> None:
    many = arrangement(range(5_000), stages=4)
    assert sum(map(len, many.paths)) <= MOST_MARBLES
    assert len(many.piles) == 4


def test_a_failure_finds_room_before_all_others() -> None:
    infos = (StageInfo("stage", 10),)
    kinds: list[Kind] = ["finished"] * 500 + ["failed"] * 5
    events = [Event(kind, "stage", index, 0, 1.0, 1, 0) for index, kind in enumerate(kinds)]
    shown = arrange(History(events, [RunInfo(1, infos, None)], 0), 0, 100).paths
    assert [path[0].visit.kind for path in shown].count("failed") == 5
