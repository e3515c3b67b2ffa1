"""Limits on concurrency that any number of nodes, runs and nestings share."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from statistics import median

from ..checks import positive_int, positive_number


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
        self._size = positive_int(n, "n")
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
        self._bind()
        free = self.in_use < self._size and not self._waiters
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
        self.in_use -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiters and self.in_use < self._size:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
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

    It looks at one round (as many executions as there are permits) at a time. While latencies hold
    and all permits are wanted it grows by one each round; until the first sign of congestion it
    doubles instead. A timeout, or an error that means overload (a status of 429 or 503, a
    retry-after time), shrinks it at once to 3/4, at most once a round; a round whose median
    latency is over the target shrinks it to 9/10.

    The rule is that of TCP (Chiu and Jain, "Analysis of the increase and decrease algorithms for
    congestion avoidance in computer networks", 1989).

    Args:
        initial: Size to begin with.
        minimum: Smallest size.
        maximum: Largest size.
        target_latency: Seconds that an execution may take. The default is twice the best median of
            a round among the last 32.

    Raises:
        ValueError: If not ``minimum <= initial <= maximum``.
    """

    OVERLOADED = 0.75
    SLOW = 0.9
    TOLERANCE = 2.0
    MEMORY = 32

    def __init__(
        self,
        initial: int = 10,
        minimum: int = 1,
        maximum: int = 1_000,
        target_latency: float | None = None,
    ) -> None:
        super().__init__(positive_int(initial, "initial"))
        self.minimum = positive_int(minimum, "minimum")
        self.maximum = positive_int(maximum, "maximum")
        if not minimum <= initial <= maximum:
            raise ValueError(
                f"initial must be between minimum and maximum, got {minimum}, {initial}, {maximum}"
            )
        if target_latency is not None:
            positive_number(target_latency, "target_latency")
        self.target_latency = target_latency
        self._starting = True
        self._wanted = False
        self._backed_off = False
        self._round: list[float] = []
        self._medians: deque[float] = deque(maxlen=self.MEMORY)

    def observed(self, seconds: float, overloaded: bool) -> None:
        """Learn how one execution went, and resize after each round."""
        self._wanted = self._wanted or bool(self._waiters)
        if overloaded and not self._backed_off:
            self._backed_off = True
            self._shrink(self.OVERLOADED)
        self._round.append(seconds)
        if len(self._round) >= self._size:
            self._end_round()

    def _end_round(self) -> None:
        typical = median(self._round)
        if not self._backed_off:
            self._medians.append(typical)
            if typical > self._slow_from():
                self._shrink(self.SLOW)
            elif self._wanted:
                self._grow()
        self._round.clear()
        self._wanted = self._backed_off = False

    def _slow_from(self) -> float:
        if self.target_latency is not None:
            return self.target_latency
        return self.TOLERANCE * min(self._medians)

    def _grow(self) -> None:
        size = 2 * self._size if self._starting else self._size + 1
        self._size = min(size, self.maximum)
        self._hand_out()

    def _shrink(self, factor: float) -> None:
        self._starting = False
        self._size = max(self.minimum, int(self._size * factor))
