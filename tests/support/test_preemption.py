"""Whether the time of a step was lost to other threads."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from nadoo_flow._support import preemption
from nadoo_flow._support.preemption import watch_preemption


def test_a_step_that_waits_has_taken_its_time_itself() -> None:
    was_preempted = watch_preemption(0.1)
    time.sleep(0.001)
    assert not was_preempted()


def test_so_has_one_that_computes() -> None:
    was_preempted = watch_preemption(0.01)
    ends = time.thread_time() + 0.02
    while time.thread_time() < ends:
        pass
    assert not was_preempted()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts this for each thread")
@pytest.mark.parametrize(
    ("gave_way", "waited", "computed", "expected"),
    [(1, 0, 0.0, True), (1, 1, 0.0, False), (0, 0, 0.0, False), (3, 0, 0.2, False)],
)
def test_it_is_preempted_if_it_had_to_give_way_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, gave_way: int, waited: int, computed: float, expected: bool
) -> None:
    usages = [
        SimpleNamespace(ru_nivcsw=7, ru_nvcsw=7, ru_utime=1.0, ru_stime=1.0),
        SimpleNamespace(
            ru_nivcsw=7 + gave_way, ru_nvcsw=7 + waited, ru_utime=1.0, ru_stime=1.0 + computed
        ),
    ]
    monkeypatch.setattr(preemption, "getrusage", lambda _: usages.pop(0))
    assert watch_preemption(0.1)() == expected
