"""The turns of calls to a FlakyService, of which only so many are in work at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from .._support.checks import check_positive_int


class Turns:
    """Counts the calls that are in work, and lets others wait in their order.

    Args:
        capacity: Most calls at a time; None for no limit.

    Attributes:
        running: How many calls are in work.
        peak: Most calls that were in work at a time.
    """

    def __init__(self, capacity: int | None) -> None:
        self._capacity = _as_limit(capacity)
        self._queue: deque[asyncio.Future[None]] = deque()
        self.running = 0
        self.peak = 0

    @property
    def capacity(self) -> int | None:
        """Most calls at a time, if there is such a limit."""
        return None if self._capacity == math.inf else int(self._capacity)

    @capacity.setter
    def capacity(self, capacity: int | None) -> None:
        self._capacity = _as_limit(capacity)
        self._admit()

    def take(self) -> bool:
        """Take a turn if one is free and no call waits for it; return whether that is so."""
        if self.running >= self._capacity or self._queue:
            return False
        self._start()
        return True

    async def wait(self) -> None:
        """Take a turn behind all calls that wait."""
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except BaseException:
            # It is cancelled, or closed, which leaves the turn as it is.
            if turn.done() and not turn.cancelled():
                self.give_back()
            turn.cancel()
            raise

    def give_back(self) -> None:
        """Give a turn back, and hand it to the call that has waited longest."""
        self.running -= 1
        self._admit()

    def _start(self) -> None:
        self.running += 1
        self.peak = max(self.peak, self.running)

    def _admit(self) -> None:
        while self._queue and self.running < self._capacity:
            turn = self._queue.popleft()
            if not turn.cancelled():
                self._start()
                turn.set_result(None)


def _as_limit(capacity: object) -> float:
    return math.inf if capacity is None else check_positive_int(capacity, "capacity")
