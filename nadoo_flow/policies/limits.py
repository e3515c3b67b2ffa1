"""Limits on concurrency that any number of nodes, runs and nestings share."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from statistics import median

from .._support.checks import check_positive_int, check_positive_number

# Loops in several threads may use one limit in turns: which of them does must not change while a
# permit is taken or given back. Not of each limit, which could not be copied with it. Reentrant,
# because the garbage collector may end the holder of a permit at any point.
_changing = threading.RLock()


class ConcurrencyLimit:
    """A number of permits, handed out in the order in which they are asked for.

    Give it to ``limit(...)``. One object may be shared by any number of nodes, nested stages,
    pipelines and simultaneous runs on one event loop.

    Args:
        n: Most executions at a time, over all that share it.

    Attributes:
        in_use: Permits that are held at the moment.
    """

    def __init__(self, n: int) -> None:
        self._size = check_positive_int(n, "n")
        self.in_use = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def size(self) -> int:
        """How many permits there are at the moment."""
        return self._size

    async def acquire(self) -> None:
        """Wait for a permit.

        Raises:
            RuntimeError: If it is in use on another event loop.
        """
        if self.take():
            return
        waiter = self.queue()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self.leave(waiter)
            else:
                # The permit had been handed over already; it goes to the next.
                self.release()
            raise

    def take(self) -> bool:
        """Take a permit if there is one and nobody waits."""
        loop = asyncio.get_running_loop()
        with _changing:
            self._bind(loop)
            free = self.in_use < self.size and not self._waiters
            self.in_use += free
        return free

    def queue(self) -> asyncio.Future[None]:
        """Wait in the line; the future is done when a permit is handed over."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def leave(self, waiter: asyncio.Future[None]) -> None:
        """Leave the line."""
        with suppress(ValueError):  # it may have been passed over already
            self._waiters.remove(waiter)

    def release(self) -> None:
        """Give a permit back."""
        with _changing:
            self.in_use -= 1
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiters and self.in_use < self.size:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        if self._loop is not None and self.in_use and not self._loop.is_closed():
            raise RuntimeError("the limit is in use on another event loop; make one for each loop")
        self._loop = loop
        self.in_use = 0
        self._waiters.clear()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._size}, in_use={self.in_use})"


class AdaptiveLimit(ConcurrencyLimit):
    """A concurrency limit that finds its size: additive increase, multiplicative decrease.

    As often as all permits have been used once, it looks at the latest executions. While latencies
    hold and all permits are wanted it grows by one; until the first sign of congestion it doubles
    instead. A timeout, or an error that means overload (a status of 429 or 503, a retry-after
    time), shrinks it at once to 3/4. A median latency that is too long shrinks it in proportion,
    to where nothing should have to wait inside the service. What was in work when it shrank says
    nothing about the new size and is not counted, and neither are failures of other kinds.

    The rule is that of TCP (Chiu and Jain, "Analysis of the increase and decrease algorithms for
    congestion avoidance in computer networks", 1989).

    Args:
        initial: Size to begin with.
        minimum: Smallest size.
        maximum: Largest size.
        target_latency: Median seconds that an execution may take. The default is twice the median
            that was seen at the beginning, or the last time after latencies had made it shrink.

    Raises:
        ValueError: If not ``minimum <= initial <= maximum``.
    """

    ENOUGH = 32
    """Latencies that say something, however much they vary."""
    TOLERANCE = 2.0
    OVERLOADED = 0.75
    RELIEF = 0.8
    LEAST_FACTOR = 0.25

    def __init__(
        self,
        initial: int = 10,
        minimum: int = 1,
        maximum: int = 1_000,
        target_latency: float | None = None,
    ) -> None:
        super().__init__(check_positive_int(initial, "initial"))
        self.minimum = check_positive_int(minimum, "minimum")
        self.maximum = check_positive_int(maximum, "maximum")
        if not self.minimum <= self._size <= self.maximum:
            raise ValueError(
                f"initial must be between minimum and maximum, got {minimum}, {initial}, {maximum}"
            )
        if target_latency is not None:
            target_latency = check_positive_number(target_latency, "target_latency")
        self.target_latency = target_latency
        self._relaxed = target_latency
        self._starting = True
        self._halfway = False
        self._wanted = False
        self._outdated = 0
        self._latest: list[float] = []
        self._unseen = 0

    def observed(self, seconds: float, overloaded: bool, success: bool = True) -> None:
        """Learn how one execution went, while its permit is still held."""
        self._wanted = self._wanted or bool(self._waiters)
        if self._outdated:
            self._outdated -= 1
        elif overloaded:
            self._shrink(self.OVERLOADED)
        elif success:
            self._latest.append(seconds)
            self._unseen += 1
            if self._unseen >= self._size and len(self._latest) >= self.ENOUGH:
                self._look()

    def _look(self) -> None:
        del self._latest[: -max(self._size, self.ENOUGH)]
        typical = median(self._latest)
        if self._relaxed is None:
            self._relaxed = typical
        if typical > (self.target_latency or self.TOLERANCE * self._relaxed):
            self._relieve(self.RELIEF * self._relaxed / typical)
        else:
            self._halfway = False
            if self._wanted:
                self._grow()
        self._wanted = False
        self._unseen = 0

    def _relieve(self, factor: float) -> None:
        """Shrink because of latencies; from afar in two steps, and then measure anew."""
        self._halfway = factor < self.LEAST_FACTOR and not self._halfway
        self._shrink(max(factor, self.LEAST_FACTOR))
        if not self._halfway:
            self._relaxed = self.target_latency

    def _grow(self) -> None:
        size = 2 * self._size if self._starting else self._size + 1
        self._size = min(size, self.maximum)

    def _shrink(self, factor: float) -> None:
        self._starting = False
        self._size = max(self.minimum, int(self._size * factor))
        self._outdated = max(self.in_use - 1, 0)
        self._latest.clear()
        self._unseen = 0
