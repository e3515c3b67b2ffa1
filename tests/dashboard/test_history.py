"""The history of a run covers all of it, and stays small."""

from __future__ import annotations

import pytest

from nadoo_flow.dashboard.history import MOST_POINTS, History, Point


def test_a_history_of_any_length_has_few_points_from_the_begin_to_now() -> None:
    history = History()
    for number in range(1, 100_000):
        history.add(Point(number / 4, number, 0))
        assert len(history.points) <= MOST_POINTS
    assert history.points[0] == Point(0.0, 0, 0)
    assert history.points[-1] == Point(99_999 / 4, 99_999, 0)
    assert len(history.points) > MOST_POINTS / 3
    gaps = [b.seconds - a.seconds for a, b in zip(history.points, history.points[1:], strict=False)]
    assert max(gaps[:-1]) < 4 * min(gaps[:-1])


def test_the_rate_is_that_of_the_last_seconds() -> None:
    history = History()
    assert history.compute_rate() == 0
    for second in range(1, 41):
        history.add(Point(float(second), 10 * second if second < 20 else 190, 0))
    assert history.compute_rate() == 0
    history.add(Point(41.0, 212, 0))
    assert history.compute_rate() == pytest.approx(2.2)


def test_a_page_that_is_opened_late_begins_with_the_average() -> None:
    history = History()
    history.add(Point(100.0, 250, 0))
    assert history.compute_rate() == 2.5


def test_samples_at_the_same_moment_are_one() -> None:
    history = History()
    for _ in range(3):
        history.add(Point(0.0, 0, 0))
    assert history.points == [Point(0.0, 0, 0)]
