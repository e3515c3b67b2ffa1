"""How long the engine may keep one turn of the event loop to itself."""

from __future__ import annotations

import asyncio
import math
from weakref import WeakValueDictionary

from ..clock import clock_of

BUDGET = 0.004
"""Seconds that all runs of a loop together may take in one turn before they let others in."""


class LoopTurn:
    """The time budget of the current turn of one event loop, shared by all its runs.

    Nodes that never suspend would otherwise freeze the application that they are embedded in. The
    clock is the loop's own, so a loop with virtual time has a virtual budget.

    Attributes:
        time: The clock of the loop.
        ends: When to let others in. While ``time() < ends`` there is no need to ask :meth:`spent`,
            whose call is what an item would otherwise pay most for.
    """

    __slots__ = ("__weakref__", "_loop", "ends", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time = clock_of(loop)
        self.ends = _CLOSED

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> LoopTurn:
        """Return the turn of a loop; it lives as long as a run holds it."""
        turn = _turns.get(id(loop))
        if turn is None:
            turn = _turns[id(loop)] = LoopTurn(loop)
        return turn

    def spent(self) -> bool:
        """Tell whether to let others in; to be asked before an item is taken."""
        if self.ends == _CLOSED:
            self.ends = self.time() + BUDGET
            # What is scheduled now runs at the head of the next turn, before any lane resumes.
            self._loop.call_soon(self._close)
        return self.time() >= self.ends

    def _close(self) -> None:
        self.ends = _CLOSED


_CLOSED = -math.inf

# Keyed by identity: a turn holds its loop, so an id is not reused while its turn lives.
_turns: WeakValueDictionary[int, LoopTurn] = WeakValueDictionary()
