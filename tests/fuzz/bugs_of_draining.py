"""Bugs in how runs are drained."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from nadoo_flow.batch.limits import LimitedRun
from nadoo_flow.streams.draining import Draining
from nadoo_flow.streams.operators.lane_drain import LaneDrain

from .replacing import Planting, replaced


def drain_starts_what_waits() -> AbstractContextManager[None]:
    """Work on all that was pulled when a run was drained."""
    return replaced(LaneDrain, "stop_starting", lambda self: None)


def unstarted_items_are_not_counted() -> AbstractContextManager[None]:
    """Complete before it is known how many items have not started."""
    return replaced(Draining, "settle", lambda self: self._unsettled.clear())


def cut_lanes_are_not_ended() -> AbstractContextManager[None]:
    """Wait for what is in work whatever the timeout."""
    return replaced(LaneDrain, "cut", lambda self: None)


def failures_beyond_the_budget_are_no_limit() -> AbstractContextManager[None]:
    """Count one failure more than may be."""

    def check(run: Any) -> None:
        if run._summary.failed > run._limits.max_failures:
            run._stop("max_failures", "too late")

    return replaced(LimitedRun, "_check_failures", check)


_DRAINED = r"ending=Ending\(kind='(drain|deadline|failures)'"

BUGS: dict[Planting, str] = {
    drain_starts_what_waits: _DRAINED,
    unstarted_items_are_not_counted: _DRAINED,
    cut_lanes_are_not_ended: _DRAINED,
    failures_beyond_the_budget_are_no_limit: r"way='batch'.*kind='failures'",
}
