"""The seconds that a timeout allows for the outputs of an item."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from typing_extensions import override

from .._support.clock import get_clock
from .._support.tasks import cancel_as_work, is_ended_by_owner
from .stopwatch import Stopwatch


class Allowance(Stopwatch):
    """Cancels a task when the seconds that it has are over; while the watch is stopped none go by.

    Args:
        task: The task.
        seconds: What it has.
        each: Whether it has them anew after each output.
        late: What the error says if it has taken longer.

    Attributes:
        expired: Whether the task was cancelled because of this.
    """

    def __init__(self, task: asyncio.Task[Any], seconds: float, *, each: bool, late: str) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(get_clock(self._loop))
        self._task: asyncio.Task[Any] | None = task
        self._allowed = seconds
        self._each = each
        self._late = late
        self._timer: asyncio.TimerHandle | None = None
        self.expired = False
        self._arm()

    @override
    def start(self) -> None:
        super().start()
        if self._timer is None:
            self._arm()

    def note_output(self) -> None:
        """Give the task its seconds anew, if each output has them.

        Raises:
            TimeoutError: If it took longer, as where it did not suspend or swallowed the cancel.
        """
        if self.expired or self._seconds > self._allowed:
            raise TimeoutError(self._late)
        if self._each:
            self._seconds = 0.0

    def discard(self) -> None:
        """Let no more time go by."""
        if self._timer is not None:
            self._timer.cancel()
        # Or the traceback of a failure would keep the task, and with it the whole run.
        self._task = None

    def _arm(self) -> None:
        # One timer for many outputs. In a context of its own, or it would keep that of an item.
        when = self._time() + self._allowed - self.read()
        self._timer = self._loop.call_at(when, self._look, context=Context())

    def _look(self) -> None:
        self._timer = None
        if self._since is None or self._task is None:
            return  # the next start arms it again
        if self.read() < self._allowed:
            self._arm()
        # Not when the run is ending: a second cancel would interrupt the clean-up.
        elif not is_ended_by_owner(self._task):
            self.expired = True
            cancel_as_work(self._task)
