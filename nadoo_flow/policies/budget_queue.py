"""Those that wait for a budget on one event loop, and the pauses there."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from contextvars import Context

from .._support.clock import get_clock
from .sliding_window import Amounts, Charge, SlidingWindow

CATCH_UP = 0.02
"""Seconds by which a start may be late, as timers are, without all others becoming later too."""


class _Waiter:
    """A call that has to wait.

    Attributes:
        amounts: What it needs.
        future: Is done when it is admitted.
        next_start: When it could start by the pace alone.
    """

    __slots__ = ("amounts", "future", "next_start")

    def __init__(self, amounts: Amounts, future: asyncio.Future[None]) -> None:
        self.amounts = amounts
        self.future = future
        self.next_start = -math.inf


class BudgetQueue:
    """Lets calls start in their order, as soon as there is room for the first.

    One that may start is admitted: it is reserved what it needs, and charged when it really starts,
    which is when its task has its turn.

    Args:
        per: Length of the window in seconds.
        limits: Most of each unit in a window.
        previous: The queue of an event loop before this one, whose charges and pauses still count.
    """

    def __init__(self, per: float, limits: Amounts, previous: BudgetQueue | None) -> None:
        self._per = per
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._time = get_clock(self._loop)
        self._waiting: OrderedDict[_Waiter, None] = OrderedDict()
        self._admitted: dict[_Waiter, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._window = SlidingWindow(per, limits)
        self._paused_until = -math.inf
        self._paced_until = -math.inf
        self._next_start = -math.inf
        # Times of another clock would say nothing.
        if previous and previous._loop.is_closed() and previous._time is self._time:
            self._window = previous._window.copy_charges()
            self._paused_until = previous._paused_until
            self._paced_until = previous._paced_until
            self._next_start = previous._next_start

    def sum_charges(self) -> Amounts:
        """Return what is charged at the moment, of each unit; any thread may ask."""
        return self._window.sum_charges(self._time())

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._waiting)

    @property
    def taken(self) -> Amounts:
        """What is taken of the limits, as it was when a call last asked; any thread may read it."""
        return self._window.sums

    def start_at_once(self, amounts: Amounts) -> Charge | None:
        """Charge a call and return that, if it need not wait."""
        now = self._time()
        if self._waiting or self._admitted or now < self._paced_until:
            return None
        return self._window.start_if_room(amounts, now)

    async def start(self, amounts: Amounts) -> Charge:
        """Wait until a call may start, and charge it."""
        waiter = _Waiter(amounts, self._loop.create_future())
        self._waiting[waiter] = None
        try:
            self._admit()
            if waiter in self._admitted:
                await asyncio.sleep(0)  # others may have been admitted before
            while waiter not in self._admitted:
                # It may have been admitted before, and put back since then.
                if waiter.future.done():
                    waiter.future = self._loop.create_future()
                await waiter.future
        except BaseException:
            self._leave(waiter)
            raise
        del self._admitted[waiter]
        charge = self._window.start(amounts, self._time())
        if self._waiting and self._timer is None:  # there may have been nothing that would expire
            self._admit()
        return charge

    def correct(self, charge: Charge, amounts: Amounts) -> None:
        """Charge a call other amounts than were estimated."""
        self._window.correct(charge, amounts)
        if self._admitted and self._window.is_over():
            self._put_back()
        if self._waiting:
            self._admit()

    def pause(self, seconds: float) -> None:
        """Let no call start for some seconds."""
        self._paused_until = max(self._paused_until, self._time() + seconds)
        self._put_back()
        self._paced_until, self._next_start = math.inf, -math.inf
        self._admit()

    def _put_back(self) -> None:
        """Let those that are admitted and have not started yet wait again, as the first."""
        for waiter in reversed(self._admitted):
            self._window.give_back(waiter.amounts)
            self._next_start = waiter.next_start
            self._waiting[waiter] = None
            self._waiting.move_to_end(waiter, last=False)
        self._admitted.clear()

    def _leave(self, waiter: _Waiter) -> None:
        self._waiting.pop(waiter, None)
        if waiter in self._admitted:
            del self._admitted[waiter]
            self._window.give_back(waiter.amounts)
            if not self._admitted:
                self._next_start = waiter.next_start
        if not self._loop.is_closed():
            self._admit()

    def _admit(self) -> None:
        """Admit the first ones if they may start, and come back when the next one may."""
        now, due = self._time(), math.inf
        while self._waiting:
            waiter = next(iter(self._waiting))
            due = self._find_due(waiter.amounts, now)
            if due > now:
                break
            due = math.inf
            del self._waiting[waiter]
            self._admitted[waiter] = None
            waiter.next_start = self._next_start
            self._reserve(waiter.amounts, now)
            if not waiter.future.done():
                waiter.future.set_result(None)
        self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
            self._timer = None
        if due < math.inf:
            self._due = due
            # In a context of its own, or the timer would keep that of an item.
            self._timer = self._loop.call_at(due, self._expire, context=Context())

    def _expire(self) -> None:
        self._timer = None
        self._admit()

    def _find_due(self, amounts: Amounts, now: float) -> float:
        """Find when a call may start, or when it is to be looked at again."""
        if now < self._paused_until:
            return self._paused_until
        if now < self._paced_until and now < self._next_start:
            return self._next_start
        window = self._window
        window.expire(now)
        return now if window.has_room(amounts) else window.get_next_expiry()

    def _reserve(self, amounts: Amounts, now: float) -> None:
        self._window.reserve(amounts)
        if now >= self._paced_until:
            return
        if self._next_start == -math.inf:  # the first after a pause
            self._paced_until = now + self._per
            self._next_start = now
        share = max(amount / limit for amount, limit in zip(amounts, self._limits, strict=True))
        earliest = now - min(CATCH_UP, self._per / 100)
        self._next_start = max(self._next_start, earliest) + self._per * float(share)
