"""How many calls travel together."""

from __future__ import annotations

import pytest

from nadoo_flow.executors.bundle import BundleSize


def adapted(*observed: tuple[int, float]) -> BundleSize:
    size = BundleSize(None)
    for calls, seconds in observed:
        size.observe(calls, seconds)
    return size


@pytest.mark.parametrize(("waiting", "expected"), [(1, 1), (9, 9), (10, 10), (99, 10)])
def test_a_fixed_size_is_what_is_taken_if_so_many_wait(waiting: int, expected: int) -> None:
    size = BundleSize(10)
    size.observe(10, 100.0)
    assert size.choose(waiting, 8) == expected


def test_calls_go_one_by_one_until_it_is_known_how_long_they_take() -> None:
    assert adapted().choose(100, 8) == 1


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.005, 10), (0.01, 5), (0.02, 2), (0.05, 1), (3.0, 1), (0.0, 1000)]
)
def test_a_bundle_is_50_ms_of_work(seconds: float, expected: int) -> None:
    assert adapted((1, seconds)).choose(1000, 1) == expected
    assert adapted((4, 4 * seconds)).choose(1000, 1) == expected


@pytest.mark.parametrize(
    ("waiting", "free_lanes", "expected"), [(16, 8, 2), (17, 8, 3), (3, 8, 1), (16, 1, 10)]
)
def test_a_bundle_leaves_the_other_free_lanes_something_to_do(
    waiting: int, free_lanes: int, expected: int
) -> None:
    assert adapted((1, 0.005)).choose(waiting, free_lanes) == expected


def test_the_latest_bundles_count_most() -> None:
    assert adapted((1, 0.005), (1, 0.025), (1, 0.035)).choose(1000, 1) == 2
    assert adapted((1, 0.035), (1, 0.025), (1, 0.005)).choose(1000, 1) == 2
    assert adapted((1, 0.100), *[(1, 0.005)] * 20).choose(1000, 1) == 9
