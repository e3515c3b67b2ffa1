"""The tasks of a run, and the order in which they end: lanes, sources, clean-ups."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any

from .._support.functions import do_nothing
from .._support.report_error import report_error
from .._support.tasks import Driver, Interrupted, OwnedTask


class RunTasks:
    """The tasks of one run.

    Args:
        loop: The event loop of the run.
        contexts: Those of lanes and of sources; each task gets a copy.
        is_caller_inside: Returns whether its caller belongs to the run.
        fail: Called with what a task or a clean-up raises, where the run has to know it.
        on_ended: Called once, when everything has ended after :meth:`end`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        contexts: tuple[Context, Context],
        is_caller_inside: Callable[[], bool],
        fail: Callable[[BaseException], None],
        on_ended: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._lane_context, self._source_context = contexts
        self._is_caller_inside = is_caller_inside
        self._fail = fail
        self._on_ended = on_ended
        # Bound once, and not for each lane, of which there may be a hundred thousand.
        self._on_done: Callable[[OwnedTask[None]], object] = self._on_task_done
        self._lanes: set[OwnedTask[None]] = set()
        self._sources: set[OwnedTask[None]] = set()
        self._withdrawn: set[OwnedTask[None]] = set()
        self._at_lane_end: set[Callable[[], None]] = set()
        self._cleanups: list[Callable[[], Awaitable[None]]] = []
        self._lanes_ended: asyncio.Future[None] = loop.create_future()
        self._closer: asyncio.Task[None] | None = None
        self._is_ending = False
        self._has_ended = False

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return len(self._lanes)

    def call_at_lane_end(self, function: Callable[[], None]) -> None:
        """Call a function once when the next lane has ended, however often it was passed."""
        self._at_lane_end.add(function)

    def call_those_waiting(self) -> None:
        """Call the functions now, because more than the lanes has changed."""
        functions, self._at_lane_end = self._at_lane_end, set()
        for function in functions:
            function()

    def spawn_lane(self, work: Callable[[], Awaitable[None]]) -> OwnedTask[None]:
        """Run a lane: a task that is ended, and awaited, with the run.

        The work steps coroutines itself, and so has to do what a :class:`Driver` does.
        """
        return self._spawn(work, self._lanes, self._lane_context)

    def spawn_source(self, work: Callable[[], Coroutine[Any, Any, None]]) -> OwnedTask[None]:
        """Run a source: a task that is ended with the lanes, and may close itself behind them."""
        return self._spawn(Driver(work).drive, self._sources, self._source_context)

    def withdraw(self, task: OwnedTask[None]) -> None:
        """End one task without ending the run, because nothing uses what it makes."""
        self._withdrawn.add(task)
        task.end()

    def add_cleanup(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        """Have something awaited when all tasks have ended."""
        self._cleanups.append(cleanup)

    async def wait_for_lanes(self) -> None:
        """Wait until the run is to end and no lane is left, also if the waiter is cancelled."""
        while not self._lanes_ended.done():
            try:
                await asyncio.wait([self._lanes_ended])
            except asyncio.CancelledError:
                continue

    def end(self) -> None:
        """End all tasks, await the clean-ups behind them, and then call ``on_ended``."""
        self._is_ending = True
        for task in (*self._lanes, *self._sources):
            task.end()
        self._end_in_steps()

    def _spawn(
        self, drive: Callable[[], Awaitable[None]], group: set[OwnedTask[None]], context: Context
    ) -> OwnedTask[None]:
        task = OwnedTask(
            self._run_guarded(drive),
            loop=self._loop,
            context=context.copy(),
            is_caller_inside=self._is_caller_inside,
        )
        group.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def _run_guarded(self, drive: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                try:
                    return await drive()
                except Interrupted:
                    continue
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            # Also KeyboardInterrupt and SystemExit: left to the task, they would tear the event
            # loop down before the run could be joined.
            self._fail(error)

    def _on_task_done(self, task: OwnedTask[None]) -> None:
        self._lanes.discard(task)
        self._sources.discard(task)
        if task.cancelled():
            if not self._is_ending and task not in self._withdrawn:
                self._fail(asyncio.CancelledError("a task of the run was cancelled from outside"))
        elif (error := task.exception()) is not None and not self._is_ending:
            # A GeneratorExit, which the task passes on, since it may itself be being closed.
            self._fail(error)
        self._withdrawn.discard(task)
        if task.dropped is not None:
            self._fail(task.dropped)
        if self._at_lane_end:
            self.call_those_waiting()
        if self._is_ending:
            self._end_in_steps()

    def _end_in_steps(self) -> None:
        if self._lanes:
            return
        if not self._lanes_ended.done():
            self._lanes_ended.set_result(None)
        if self._sources or self._closer is not None or self._has_ended:
            return
        if self._cleanups:
            self._closer = asyncio.Task(self._clean_up(), loop=self._loop)
        else:
            self._finish()

    async def _clean_up(self) -> None:
        for cleanup in self._cleanups:
            try:
                await cleanup()
            except (KeyboardInterrupt, SystemExit) as error:
                self._fail(error)
            except asyncio.CancelledError:
                continue  # code that cancels all tasks must not keep the others from being closed
            except Exception as error:
                report_error(self._loop, "a source raised while it was being closed", error)
        self._finish()

    def _finish(self) -> None:
        self._has_ended = True
        on_ended = self._on_ended
        # They refer to the run, which must not need the garbage collector to go away.
        self._on_ended = self._fail = self._on_done = do_nothing
        self._is_caller_inside = bool
        self._cleanups.clear()
        on_ended()
        self._closer = None
