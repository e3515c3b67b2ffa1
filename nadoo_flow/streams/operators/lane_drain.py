"""How the lanes of one ``flat_map`` are drained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from ..draining import DrainPart
from ..subscription import Subscription
from .lanes import Lanes


class LaneDrain(DrainPart):
    """How lanes are drained.

    Args:
        run: The run.
        lanes: The lanes.
        drop_unstarted: What settles items that are not started, or None if all that come are to be
            finished.
        stop_order: Lets nothing more go to the lanes, and returns how many had waited to.
    """

    def __init__(
        self,
        run: Subscription,
        lanes: Lanes[Any, Any],
        drop_unstarted: Callable[[int], None] | None,
        stop_order: Callable[[Callable[[int], None]], int] | None = None,
    ) -> None:
        self._run = run
        self._lanes = lanes
        self._drop_unstarted = drop_unstarted
        self._stop_order = stop_order
        self._unstarted = 0

    @override
    def stop_starting(self) -> None:
        if self._drop_unstarted is not None:
            self._unstarted = self._refuse(self._drop_unstarted)

    @override
    def settle_unstarted(self) -> None:
        if self._drop_unstarted is not None and self._unstarted:
            self._drop_unstarted(self._unstarted)

    @override
    def cut(self) -> None:
        if self._drop_unstarted is None:
            self._count_cancelled(self._refuse(self._count_cancelled))
        self._lanes.withdraw_all()

    @override
    def end_cut(self) -> None:
        self._lanes.forget_all()

    def _refuse(self, leave_out: Callable[[int], None]) -> int:
        """Let nothing more start, and return how many items had waited for that."""
        waiting = 0 if self._stop_order is None else self._stop_order(leave_out)
        return waiting + self._lanes.refuse(leave_out)

    def _count_cancelled(self, items: int) -> None:
        self._run.draining.cancelled += items
