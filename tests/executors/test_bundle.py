"""How many calls travel together."""

from __future__ import annotations

import pytest

from nadoo_flow.executors.bundle import BundleSize


def adapted(*observed: tuple[int, float], idle: float = 0.0, lanes: int = 8) -> BundleSize:
    size = BundleSize(None, lanes)
    for calls, busy in observed:
        size.observe(calls, busy, idle)
    return size


@pytest.mark.parametrize(("waiting", "expected"), [(1, 1), (9, 9), (10, 10), (99, 10)])
def test_a_fixed_size_is_what_is_taken_if_so_many_wait(waiting: int, expected: int) -> None:
    size = BundleSize(10, 8)
    size.observe(10, 100.0, 0.0)
    assert size.choose(waiting, 0, 8) == expected


def test_calls_go_one_by_one_until_it_is_known_how_long_they_take() -> None:
    assert adapted().choose(100, 0, 8) == 1


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.005, 10), (0.01, 5), (0.02, 2), (0.05, 1), (3.0, 1), (0.0, 1000)]
)
def test_a_bundle_is_50_ms_of_work(seconds: float, expected: int) -> None:
    assert adapted((1, seconds), lanes=1).choose(1000, 0, 1) == expected
    assert adapted((4, 4 * seconds), lanes=1).choose(1000, 0, 1) == expected


@pytest.mark.parametrize(
    ("waiting", "sent", "free_lanes", "expected"),
    [
        (16, 0, 8, 2),
        (17, 0, 8, 3),
        (3, 0, 8, 1),
        (3, 50, 3, 1),  # the last ones of a run
        (73, 7, 1, 10),  # the first lane that comes back does not take all
        (25, 7, 1, 4),
        (4, 28, 1, 4),
    ],
)
def test_a_bundle_is_an_even_share_of_the_calls(
    waiting: int, sent: int, free_lanes: int, expected: int
) -> None:
    assert adapted((1, 0.005)).choose(waiting, sent, free_lanes) == expected


@pytest.mark.parametrize(
    ("seconds", "waiting", "expected"),
    [(0.00005, 100, 20), (0.0003, 100, 13), (0.0003, 10, 4), (0.0003, 3, 3), (0.002, 3, 1)],
)
def test_calls_that_make_less_than_1_ms_travel_together_though_lanes_are_free(
    seconds: float, waiting: int, expected: int
) -> None:
    assert adapted((1, seconds)).choose(waiting, 0, 8) == expected


def test_calls_that_let_the_worker_wait_travel_together_as_far_as_they_can() -> None:
    assert adapted((1, 0.001), idle=1.0).choose(993, 7, 1) == 50
    assert adapted((1, 0.001), idle=1.0).choose(40, 7, 1) == 40
    assert adapted((1, 0.001), idle=1.0).choose(40, 6, 2) == 20
    assert adapted((1, 0.001), idle=0.0005).choose(40, 6, 2) == 6


def test_the_latest_bundles_count_most() -> None:
    assert adapted((1, 0.005), (1, 0.025), (1, 0.035), lanes=1).choose(1000, 0, 1) == 2
    assert adapted((1, 0.035), (1, 0.025), (1, 0.005), lanes=1).choose(1000, 0, 1) == 2
    assert adapted((1, 0.100), *[(1, 0.005)] * 20, lanes=1).choose(1000, 0, 1) == 9
