"""The time budget that the engine has in one turn of the event loop."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from weakref import WeakValueDictionary

from .._support.clock import get_clock

BUDGET = 0.004
"""Seconds that all runs of a loop together may take in one turn before they let others in."""

HELD = 0.1
"""Seconds that one step may take before it counts as one that holds the event loop."""

MOST = 256
"""Waiters that one turn wakes at most; some take no time in this turn, but in the next."""


class LoopTurn:
    """The time budget of the current turn of one event loop, shared by all its runs.

    Nodes that never suspend would otherwise freeze the application that they are embedded in. The
    clock is the loop's own, so a loop with virtual time has a virtual budget.

    A lane or source that finds the budget spent waits in a queue. Each turn wakes twice as many
    waiters as the turn before it if the budget of that was not spent, up to MOST, and half as many
    if it was. So the cost of a turn does not depend on the length of the queue.

    Attributes:
        time: The clock of the loop.
        gaps: How often more than HELD seconds have passed between two turns in which items were
            taken: something may have held the loop.
        ends: The time at which the budget is spent. To compare it with ``time()`` spares most
            items the call of :meth:`is_spent`.
    """

    __slots__ = (
        "__weakref__",
        "_is_scheduled",
        "_latest",
        "_loop",
        "_share",
        "_waiting",
        "_was_spent",
        "ends",
        "gaps",
        "time",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time = get_clock(loop)
        self.ends = _CLOSED
        self.gaps = 0
        self._latest = math.inf
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._share = 1
        self._was_spent = False
        self._is_scheduled = False

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> LoopTurn:
        """Return the turn of a loop, which all its runs share."""
        turn = _turns.get(id(loop))
        if turn is None:
            turn = _turns[id(loop)] = LoopTurn(loop)
        return turn

    def is_spent(self) -> bool:
        """Return whether to let others run; called before an item is taken."""
        now = self.time()
        if self.ends == _CLOSED:
            if now - self._latest > HELD:
                self.gaps += 1
            self._latest = now
            self.ends = now + BUDGET
            self._schedule()
        spent = now >= self.ends
        self._was_spent = self._was_spent or spent
        return spent

    def call_later(self, function: Callable[[], object]) -> None:
        """Call a function in a later turn, behind those that wait already."""
        self.create_waiter().add_done_callback(lambda _: function())

    def create_waiter(self) -> asyncio.Future[None]:
        """Return a future that is done in a later turn that has time."""
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        self._schedule()
        return waiter

    def _schedule(self) -> None:
        # What is scheduled now runs at the head of the next turn, before any lane resumes.
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        self.ends = _CLOSED
        waiting = self._waiting
        if not waiting:
            self._share = 1
            return
        self._schedule()
        self._share = max(self._share // 2, 1) if self._was_spent else min(self._share * 2, MOST)
        self._was_spent = False
        for _ in range(min(self._share, len(waiting))):
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)


_CLOSED = -math.inf

# Keyed by identity: a turn holds its loop, so an id is not reused while its turn lives.
_turns: WeakValueDictionary[int, LoopTurn] = WeakValueDictionary()
