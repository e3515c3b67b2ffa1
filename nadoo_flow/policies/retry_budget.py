"""A budget of retries, so that a dead service does not get a multiple of the calls."""

from __future__ import annotations

import asyncio
from collections import deque

from .._support.checks import check_positive_int, check_positive_number
from .._support.clock import get_clock

SLOTS = 10
"""Parts of the window in which calls are counted together."""


class RetryBudget:
    """Limits retries to a part of the calls, over all nodes that share it.

    Finagle's retry budgets are the model: in any window of ``per`` seconds there are at most
    ``ratio`` times as many retries as first tries, or ``minimum`` of them where that is more. What
    is older than the window by a tenth of it is forgotten. It belongs to one event loop.

    Args:
        ratio: Retries for each first try.
        minimum: Retries that are allowed in any case.
        per: Length of the window in seconds.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> budget = RetryBudget(ratio=0.1, minimum=3)
        >>> node = FunctionNode(lambda n: 60 // n).pipe(retry(attempts=10, wait=0, budget=budget))
        >>> results = asyncio.run(BatchProcessor(node).batch([0]))
        >>> budget.retries, results[0].metadata["attempts"]
        (3, 4)
    """

    def __init__(self, ratio: float = 0.1, minimum: int = 3, per: float = 10.0) -> None:
        self.ratio = check_positive_number(ratio, "ratio")
        self.minimum = check_positive_int(minimum, "minimum")
        self.per = check_positive_number(per, "per")
        self._slots: deque[_Slot] = deque()

    def note_call(self) -> None:
        """Count a first try."""
        self._get_slot().calls += 1

    def take(self) -> bool:
        """Take a retry out of the budget, if there is one left."""
        slot = self._get_slot()
        if self.retries + 1 > self.allowed:
            return False
        slot.retries += 1
        return True

    @property
    def retries(self) -> int:
        """Retries in the window that ended with the latest call."""
        return sum(each.retries for each in tuple(self._slots))

    @property
    def allowed(self) -> float:
        """Most retries in that window."""
        calls = sum(each.calls for each in tuple(self._slots))
        # A ratio such as 0.1 is not exact.
        return max(self.minimum, self.ratio * calls + 1e-9)

    def _get_slot(self) -> _Slot:
        number = int(get_clock(asyncio.get_running_loop())() / self.per * SLOTS)
        slots = self._slots
        if not slots or slots[-1].number != number:
            slots.append(_Slot(number))
        while slots[0].number < number - SLOTS:
            slots.popleft()
        return slots[-1]

    def __repr__(self) -> str:
        return f"RetryBudget(ratio={self.ratio:g}, minimum={self.minimum}, per={self.per:g})"


class _Slot:
    """The calls and retries of a tenth of the window."""

    __slots__ = ("calls", "number", "retries")

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0
        self.retries = 0
