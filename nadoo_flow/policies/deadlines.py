"""The deadlines of all that a policy works on, kept by one timer."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any, Generic, Protocol, TypeVar

from .._support.clock import get_clock
from .._support.tasks import cancel_as_work, is_ended_by_owner


class Expiring(Protocol):
    """What has a deadline."""

    def expire(self) -> None:
        """Do what is to be done at the deadline."""


E = TypeVar("E", bound=Expiring)


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

    def expire(self) -> None:
        """Cancel the task."""
        # Not when the run is ending: a second cancel would interrupt the clean-up.
        if not is_ended_by_owner(self.task):
            self.expired = True
            cancel_as_work(self.task)


class Deadlines(Generic[E]):
    """The deadlines on one event loop that are the same number of seconds ahead.

    A deadline that is added is therefore the last one, and one timer for the first is enough.

    Args:
        seconds: From the time at which a deadline is added.

    Attributes:
        seconds: The same.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._time = get_clock(self._loop)
        self._pending: dict[E, float] = {}
        self._is_armed = False

    def add(self, expiring: E) -> None:
        """Have something expire in some seconds."""
        when = self._pending[expiring] = self._time() + self.seconds
        if not self._is_armed:
            self._arm(when)

    def discard(self, expiring: E) -> None:
        """Forget a deadline, because all is on time."""
        self._pending.pop(expiring, None)

    def _arm(self, when: float) -> None:
        self._is_armed = True
        # In a context of its own, or the timer would keep that of an item.
        self._loop.call_at(when, self._expire, context=Context())

    def _expire(self) -> None:
        self._is_armed = False
        now = self._time()
        expired: list[E] = []
        for expiring, when in self._pending.items():
            if when > now:
                self._arm(when)
                break
            expired.append(expiring)
        for expiring in expired:
            self.discard(expiring)
            expiring.expire()
