"""A limit on concurrency that finds its size from how executions go."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from .._support.checks import check_positive_int, check_positive_number
from .concurrency_limit import ConcurrencyLimit
from .descent import Descent


class AdaptiveLimit(ConcurrencyLimit):
    """A concurrency limit that finds its size: additive increase, multiplicative decrease.

    Each time when all permits have been used once, it looks at the latest executions. While
    latencies hold and items wait for permits, it grows by one; until the first sign of congestion
    it doubles instead. A timeout, or an error that means overload (a status of 429, 503 or 529, a
    retry-after time), shrinks it at once to 3/4. A median latency that is too long shrinks it in
    proportion, to a size at which no item should have to wait inside the service. Executions that
    began before it shrank say nothing about the new size and are not counted, and neither are
    failures of other kinds.

    A size to begin with may be far too large. If the first latencies differ by much, it is divided
    by up to four, again and again, until executions become no quicker by it.

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
        TypeError: At the call, if an argument is of a wrong type.

    Example:
        >>> shared = AdaptiveLimit(initial=10, maximum=200)
        >>> node = FunctionNode(str.upper).pipe(limit(shared))
        >>> results = asyncio.run(BatchProcessor(node, max_concurrency=200).batch(["a", "b"]))
        >>> results.outputs, shared.size
        (['A', 'B'], 10)
    """

    ENOUGH = 32
    """Latencies whose median says enough, however much they vary."""
    TOLERANCE = 2.0
    SUSPICIOUS = 1.5
    """How much longer than the quickest the first executions take if they may have waited."""
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
        self._descent: Descent | None = None
        self._halfway = False
        self._wanted = False
        self._busiest = 0
        self._outdated = 0
        self._latest: list[float] = []
        self._unseen = 0

    def _observe(self, seconds: float, overloaded: bool, success: bool = True) -> None:
        """Take one execution into account, while its permit is still held."""
        if self._waiters:
            self._wanted = True
        if self.in_use > self._busiest:
            self._busiest = self.in_use
        if self._outdated:
            self._outdated -= 1
            if self._descent is not None and success:
                self._descent.note_former(seconds)
        elif overloaded:
            self._descent = None
            self._shrink(self.OVERLOADED)
        elif success:
            self._latest.append(seconds)
            self._unseen += 1
            # The first of too many are back soon, and the last ones only after a long time. What is
            # quick by nature is back soon too, so the step is compared with what comes after them.
            if self._unseen == self.ENOUGH and self._may_be_too_large():
                self._descend(min(self._latest), self.LEAST_FACTOR, former=())
            elif len(self._latest) >= self.ENOUGH and (
                self._unseen >= self._size or self._busiest <= self._unseen >= self.ENOUGH
            ):
                self._look()

    @property
    def _busy(self) -> int:
        """How many may be in work at a time, and are."""
        return min(self._size, self._busiest)

    def _look(self) -> None:
        del self._latest[: -max(self._size, self.ENOUGH)]
        typical = median(self._latest)
        if self._descent is not None:
            self._look_back(self._descent, typical)
        elif self._may_be_too_large():
            self._descend(min(self._latest), self.LEAST_FACTOR, self._latest)
        else:
            self._react(typical)
        self._wanted = False
        self._busiest = 0
        self._unseen = 0

    def _react(self, typical: float) -> None:
        if self._relaxed is None:
            self._relaxed = typical
        if typical > (self.target_latency or self.TOLERANCE * self._relaxed):
            self._relieve(self.RELIEF * self._relaxed / typical)
        else:
            self._halfway = False
            if self._wanted:
                self._grow()

    def _may_be_too_large(self) -> bool:
        """Return whether the first executions may have waited for each other."""
        is_first = self._starting and self._relaxed is None and self._descent is None
        if not is_first or 2 * self._busy < self.ENOUGH:  # it would take too long with a quarter
            return False
        return median(self._latest) > self.SUSPICIOUS * min(self._latest)

    def _descend(self, quickest: float, factor: float, former: Iterable[float]) -> None:
        """Shrink to find out whether executions become quicker by it."""
        self._descent = Descent(quickest, self._size, self._busy, former)
        starting, self._size = self._starting, self._busy
        self._shrink(factor)
        self._starting = starting

    def _look_back(self, step: Descent, typical: float) -> None:
        """Go on down, stay, or go back."""
        self._descent = None
        before = step.find_way_back(self._size, typical)
        if before is not None:
            self._size = before
        else:
            self._starting = False
            if typical > self.SUSPICIOUS * step.quickest and self._size > self.minimum:
                factor = max(self.RELIEF * step.quickest / typical, self.LEAST_FACTOR)
                self._descend(step.quickest, factor, self._latest)
                return
        self._relaxed = typical
        self._latest.clear()

    def _relieve(self, factor: float) -> None:
        """Shrink because of latencies: by a large factor in two steps, then measure anew."""
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
