"""Plans of runs: a chain of operators, and the number of items that may be in it at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

from reactivex import Observable

from .subscription import Build, Subscription
from .valve import Valve

AHEAD = 65_536
"""Items that a run may hold at once beside those that its lanes work on."""

MAX_WINDOW = 262_144
"""Items that a run may hold at once, however large its concurrency is."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Plan(Generic[T]):
    """A plan of runs, each independent of the others.

    Attributes:
        build: Makes the chain of operators for one run.
        max_concurrent: Items that must be outstanding to keep every lane of the chain busy.
        window: Most items outstanding. The default is four for each lane, up to AHEAD, so that
            no lane runs dry while others are slow; or one for each lane, up to MAX_WINDOW, where
            that is more.
        valve: Drains the runs, if there is one.
    """

    build: Build[T]
    max_concurrent: int
    window: int | None = None
    valve: Valve | None = None

    def pipe(self, operator: Callable[[Observable[T]], Observable[R]]) -> Plan[R]:
        """Return the same plan with one more operator at the end of its chain.

        Args:
            operator: Gets what the chain emits.
        """
        build = self.build
        return replace(cast("Plan[R]", self), build=lambda run: build(run).pipe(operator))

    def open(self) -> Subscription:
        """Open a run inside the running event loop."""
        window = compute_default_window(self.max_concurrent) if self.window is None else self.window
        run = Subscription(window, self.max_concurrent)
        if self.valve is not None:
            self.valve._add(run)
        return run


def compute_default_window(max_concurrent: int) -> int:
    """Return how many items may be outstanding where the caller sets no window.

    Args:
        max_concurrent: Items that must be outstanding to keep every lane busy.
    """
    return min(4 * max_concurrent, max(AHEAD, max_concurrent), MAX_WINDOW)
