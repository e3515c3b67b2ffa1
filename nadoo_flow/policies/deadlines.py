"""The deadlines of all that a timeout works on, kept by one timer."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from .._support.clock import get_clock
from .._support.tasks import cancel_as_work, is_ended_by_owner


class Deadline:
    """The time at which a task is to be cancelled.

    Attributes:
        task: The task.
        expired: Whether it was cancelled because of this.
    """

    __slots__ = ("expired", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.expired = False


class Deadlines:
    """The deadlines on one event loop that are the same number of seconds ahead.

    A deadline that is added is therefore the last one, and one timer for the first is enough.

    Args:
        seconds: From the time at which a deadline is added.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._time = get_clock(self._loop)
        self._pending: dict[Deadline, float] = {}
        self._is_armed = False

    def add(self, task: asyncio.Task[Any]) -> Deadline:
        """Have a task cancelled in some seconds."""
        deadline = Deadline(task)
        when = self._pending[deadline] = self._time() + self._seconds
        if not self._is_armed:
            self._arm(when)
        return deadline

    def discard(self, deadline: Deadline) -> None:
        """Forget a deadline, because its task is on time."""
        self._pending.pop(deadline, None)

    def _arm(self, when: float) -> None:
        self._is_armed = True
        # In a context of its own, or the timer would keep that of an item.
        self._loop.call_at(when, self._expire, context=Context())

    def _expire(self) -> None:
        self._is_armed = False
        now = self._time()
        expired: list[Deadline] = []
        for deadline, when in self._pending.items():
            if when > now:
                self._arm(when)
                break
            expired.append(deadline)
        for deadline in expired:
            self.discard(deadline)
            # Not when the run is ending: a second cancel would interrupt the clean-up.
            if not is_ended_by_owner(deadline.task):
                deadline.expired = True
                cancel_as_work(deadline.task)
