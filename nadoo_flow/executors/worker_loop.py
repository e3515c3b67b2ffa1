"""The event loop of a thread in a worker, which lasts as long as the thread."""

from __future__ import annotations

import asyncio
import logging
import selectors
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, TypeVar
from weakref import WeakSet

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a task which a node has left behind may take to end."""


class WorkerLoop:
    """An event loop that lasts as long as its thread, so that nodes can keep connections."""

    _is_closed = True  # while it is being made, which may fail

    def __init__(self) -> None:
        self._selector = selector = _Selector()
        # The factory holds no reference to self, so that the loop is closed when its thread ends,
        # and not when the garbage collector runs.
        self._runner = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector))
        self._stubborn: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._is_closed = False

    @property
    def idle(self) -> float:
        """How many seconds it has waited so far."""
        return self._selector.idle

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._runner.run(coroutine)

    async def cancel_leftovers(self) -> None:
        """Cancel the tasks that nodes have left behind, and await those that end when cancelled."""
        leftovers = asyncio.all_tasks() - {asyncio.current_task(), *self._stubborn}
        if not leftovers:
            return
        for task in leftovers:
            task.cancel()
        ended, left = await asyncio.wait(leftovers, timeout=PATIENCE)
        for task in ended:
            if not task.cancelled():
                task.exception()  # or asyncio would log it as never looked at
        if left:
            self._stubborn.update(left)
            _log.warning("a task that a node has left behind goes on after it was cancelled")

    def close(self) -> None:
        """Close the loop, after the tasks that are left were cancelled and have ended; idempotent.

        Those that went on after a first cancel, and all where another loop runs, are not awaited.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # A runner would wait for these tasks for ever.
            can_run = all(task.done() for task in self._stubborn)
        else:  # the garbage collector runs in any thread, and no loop can run inside another
            can_run = False
        if can_run:
            self._runner.close()
        else:
            self._runner.get_loop().close()

    def __del__(self) -> None:
        self.close()


class _Selector(selectors.DefaultSelector):
    """Adds up how long an event loop waits."""

    idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        started = perf_counter()
        try:
            return super().select(timeout)
        finally:
            self.idle += perf_counter() - started


_log = logging.getLogger(__name__)
