"""The end of a run that starts nothing more and finishes what it has started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from .run_tasks import RunTasks


class DrainPart:
    """A part of a run that has something to do when the run is drained.

    The methods are called in this order, each once at most, and not if the run has ended.
    """

    def stop_starting(self) -> None:
        """Start nothing more, and emit nothing, since the caller may be any code of the run."""

    def settle_unstarted(self) -> None:
        """Settle what is not started, and signal the end of the source."""

    def cut(self) -> None:
        """Cancel what has been started and is not finished."""

    def end_cut(self) -> None:
        """Signal the end, unless that was done, because no lane is left and the source has ended.

        The parts are called from the source on, each behind those that emit to it.
        """


class Draining:
    """How one run is drained.

    Args:
        loop: The event loop of the run.
        context: The context in which the parts are called, that of the subscriber.
        tasks: The lanes and sources.
        fail: Called with what a part raises.

    Attributes:
        has_begun: Whether nothing more is to start.
        is_cut: Whether what had been started was cancelled.
        not_started: Items that were pulled and that nothing had been done with.
        cancelled: Items that were cancelled, or that a stage had not taken yet at that time.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        tasks: RunTasks,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._loop = loop
        self._context = context
        self._tasks = tasks
        self._fail: Callable[[BaseException], None] | None = fail
        self._parts: list[DrainPart] = []
        self._unsettled: list[DrainPart] = []
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._at_end: list[Callable[[], None]] = []
        self.has_begun = False
        self.is_cut = False
        self.not_started = 0
        self.cancelled = 0

    def add_part(self, part: DrainPart) -> None:
        """Register a part; those that it emits to must have been registered before."""
        if self._fail is None:
            return
        self._parts.append(part)
        if self.has_begun:
            self._stop(part)
        if self.is_cut:
            self._call_soon(part.cut)

    def call_at_end(self, function: Callable[[], None]) -> None:
        """Call a function when the run has ended, in whatever way."""
        self._at_end.append(function)

    def begin(self, timeout: float | None) -> None:
        """Start nothing more, and cancel what is in work after so many seconds.

        It may be called again; the earliest timeout counts.
        """
        if self._fail is None:
            return
        if not self.has_begun:
            self.has_begun = True
            for part in self._parts:
                self._stop(part)
            self._call_soon(self._tasks.call_those_waiting)
        if timeout is not None and not self.is_cut:
            when = self._loop.time() + timeout
            if self._timer is None or when < self._timer.when():
                self._cancel_timer()
                self._timer = self._loop.call_at(when, self._cut, context=self._context)

    def settle(self) -> None:
        """Settle what is not started: soon after that is known, or before the run completes."""
        while self._unsettled:
            self._call(self._unsettled.pop(0).settle_unstarted)

    async def wait(self) -> int:
        """Wait until the run has ended, in whatever way, and return how many were cancelled."""
        if self._fail is not None:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if self._fail is not None:
                    self._waiters.remove(waiter)
        return self.cancelled

    def end(self) -> None:
        """Note that the run has ended."""
        self._cancel_timer()
        self._parts.clear()
        self._unsettled.clear()
        self._fail = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
        for function in self._at_end:
            function()
        self._at_end.clear()

    def _stop(self, part: DrainPart) -> None:
        part.stop_starting()
        self._unsettled.append(part)
        self._call_soon(self.settle)

    def _cut(self) -> None:
        self.is_cut = True
        self._timer = None
        for part in reversed(self._parts):
            self._call(part.cut)
        self._end_behind_lanes()

    def _end_behind_lanes(self) -> None:
        if self._tasks.lanes:
            self._tasks.call_at_lane_end(self._end_behind_lanes)
        else:
            self._call_soon(self._end_parts)

    def _end_parts(self) -> None:
        for part in self._parts[::-1]:
            self._call(part.end_cut)

    def _call_soon(self, function: Callable[[], None]) -> None:
        # Drained in the handler of a signal, the loop may be asleep.
        self._loop.call_soon_threadsafe(self._call, function, context=self._context)

    def _call(self, function: Callable[[], None]) -> None:
        fail = self._fail
        if fail is None:
            return
        try:
            function()
        except BaseException as error:
            fail(error)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
