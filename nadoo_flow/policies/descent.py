"""The way down from a first size of a limit that may be far above what a service bears."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median


class Descent:
    """One step down, and what it was taken for.

    A service that lets calls wait answers all the more quickly the fewer are in work. One that
    does not only seems to do so, as when some calls are just quicker than others.

    Args:
        quickest: Seconds of the quickest execution of all, which hardly waited.
        size: Of the limit before the step.
        busy: How many were in work then.
        former: Seconds of executions before the step.
    """

    def __init__(self, quickest: float, size: int, busy: int, former: Iterable[float]) -> None:
        self.quickest = quickest
        self._size = size
        self._busy = busy
        self._former = list(former)

    def note_former(self, seconds: float) -> None:
        """Take an execution into account that began before the step."""
        self._former.append(seconds)

    def find_way_back(self, size: int, typical: float) -> int | None:
        """Return the size to go back to if the step was of no use, and None if it was.

        Halfway between no effect and latencies that fall as the number of calls does is the limit.

        Args:
            size: Of the limit after the step.
            typical: Seconds that an execution takes since then.
        """
        former = median(self._former) if self._former else typical
        if typical <= former * math.sqrt(size / self._busy):
            return None
        # So much is in work where none waits, as the latencies tell (Little's law).
        return max(size, int(self._size * min(1.0, typical / former)))
