"""The places of the window for items that an operator makes itself, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextvars import copy_context

from .subscription import Subscription


class Taker:
    """What takes places, one for each item that it is to make.

    Attributes:
        has_place: Whether it has one for its next item.
        waiter: Done when it gets one.
    """

    def __init__(self, has_place: bool) -> None:
        self.has_place = has_place
        self.waiter: asyncio.Future[None] | None = None


class Places:
    """Hands out the places of the window to the takers of one operator.

    Args:
        run: The run that the operator belongs to.
        margin: Places that are left free for the operators behind.
        ordered: Whether the first taker has to get a place before the others.

    Attributes:
        first: The first taker, if they are ordered. The others leave the room that a source leaves.
    """

    def __init__(self, run: Subscription, margin: int, *, ordered: bool) -> None:
        self._run = run
        self._margin = margin
        self._ordered = ordered
        self._waiting: OrderedDict[Taker, None] = OrderedDict()
        self._woken: Taker | None = None
        self._context = copy_context()
        self.first: Taker | None = None

    def take(self, taker: Taker) -> bool:
        """Take a place, if one is free."""
        run = self._run
        others = self._ordered and taker is not self.first
        if run.outstanding >= (run.limit if others else run.window - self._margin):
            return False
        run.outstanding += 1
        taker.has_place = True
        return True

    def give_back(self, taker: Taker) -> None:
        """Give back a place that is not needed, if the taker has one."""
        if taker.has_place:
            taker.has_place = False
            self._run.release()

    async def wait(self, taker: Taker) -> None:
        """Wait for a place where none is free; one that was handed out is kept in any case."""
        self._waiting[taker] = None
        taker.waiter = self._run.loop.create_future()
        try:
            await taker.waiter
            self._run.loop.call_soon(self._wake_next, context=self._context)
        except BaseException:
            if self._woken is taker:
                self._woken = None
            raise
        finally:
            taker.waiter = None
            self._waiting.pop(taker, None)

    def hand_out(self) -> None:
        """Give a place that has become free to a taker that waits for one.

        The next is woken when that one has done what it can without suspending, which may take all
        other places that are free. A turn for each item would take twice the time.
        """
        waiting, first = self._waiting, self.first
        if not waiting or self._woken is not None:
            return
        taker = first if first is not None and first in waiting else next(iter(waiting))
        if not self.take(taker):
            return
        del waiting[taker]
        self._woken = taker
        if taker.waiter is not None and not taker.waiter.done():
            taker.waiter.set_result(None)

    def _wake_next(self) -> None:
        self._woken = None
        self.hand_out()
