"""The demand of a run: how many of its items are outstanding, and when its source may emit more."""

from __future__ import annotations

from collections.abc import Callable

from .._support.functions import do_nothing


class Demand:
    """Counts the items of a run that are outstanding, and asks its source for more.

    An item is outstanding from the moment the source emits it until it is settled with
    :meth:`release`, because it was handed to the consumer, dropped, or folded. The source emits
    only while ``outstanding < limit``, and is asked again when ``outstanding`` has fallen to
    ``low``.

    Args:
        window: Most items outstanding.
        max_concurrent: Items that must be outstanding to keep every lane busy.

    Attributes:
        window: Most items outstanding.
        limit: Most items outstanding for the source to emit another. It is less than the window
            where operators make items of their own.
        low: How many are outstanding when the source is asked for more.
        max_concurrent: Most items in work at a time.
        outstanding: How many items are not settled.
        stopped: Whether the run is to end; what is emitted from now on is discarded.
    """

    def __init__(self, window: int, max_concurrent: int) -> None:
        self.window = self.limit = window
        self.max_concurrent = max_concurrent
        self.low = _compute_low(window, max_concurrent)
        self.outstanding = 0
        self.stopped = False
        self._reserved = 0
        self._takers: list[Callable[[], None]] = []
        self._on_demand: Callable[[], None] = do_nothing

    def set_pump(self, pump: Callable[[], None]) -> None:
        """Register the source: ``pump`` is called when it may emit again.

        Args:
            pump: Emits while there is demand, and returns.
        """
        if not self.stopped:
            self._on_demand = pump

    def release(self, n: int = 1) -> None:
        """Settle items and let the source emit as many again; nothing happens after the end.

        Args:
            n: How many.

        Raises:
            ValueError: If more is settled than was outstanding.
        """
        if self.stopped:
            return
        outstanding = self.outstanding - n
        if outstanding < 0:
            raise ValueError(f"released {n} items, but only {self.outstanding} are outstanding")
        self.outstanding = outstanding
        for take in self._takers:
            take()
        if self.outstanding <= self.low:
            self._on_demand()

    def reserve_place(self) -> int:
        """Reserve a place in the window for an operator that makes items of its own.

        Returns:
            How many places of the window have been reserved before, for the operators behind it.
        """
        reserved = self._reserved
        self._reserved += 1
        if self.window == self._reserved:
            self.window += 1
        # Items that wait for a lane would otherwise leave the outputs of others no more than that
        # one place, and the event loop would take a turn for each.
        half = max(self.window // 2, self.max_concurrent)
        self.limit = min(half, self.window - self._reserved)
        self.low = _compute_low(self.limit, self.max_concurrent)
        return reserved

    def add_taker(self, take: Callable[[], None]) -> None:
        """Register an operator that makes items of its own: called when items were settled.

        Those behind it must have been registered before.

        Args:
            take: Takes places that have become free, and returns.
        """
        self._takers.append(take)

    def end_demand(self) -> None:
        """Ask for nothing more, and have nothing more emitted."""
        self.stopped = True
        self._on_demand = do_nothing


def _compute_low(limit: int, max_concurrent: int) -> int:
    return min(limit - 1, max(limit - limit // 4, max_concurrent))
