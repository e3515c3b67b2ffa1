"""An event loop whose clock jumps to the next timer, so that no test waits for real."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Mapping
from typing import Any

PATIENCE = 20.0
"""Real seconds that a loop without timers waits for other threads."""


class DeadlockError(RuntimeError):
    """Every task waits, and no timer will ever wake one."""


class _JumpingSelector(selectors.BaseSelector):
    """Lets time pass at once instead of waiting for it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._bystanders = frozenset(threading.enumerate())
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # With no timer in sight only another thread can wake the loop; it works in real time. Those
        # that were there before the loop know nothing of it.
        foreign = timeout is None and not self._bystanders.issuperset(threading.enumerate())
        ready = self._real.select(PATIENCE if foreign else 0)
        if not ready:
            if timeout is None:
                raise DeadlockError("the loop waits for something that will never happen")
            self.now += max(timeout, 0)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at time 0; :meth:`advance` makes work take time without suspending."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jumping.now

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        # A real clock moves between two turns. Code that arms a timer again because a rounding
        # error was left would spin for ever if this one did not move at all.
        return super().call_at(max(when, math.nextafter(self.time(), math.inf)), *args, **kwargs)

    def advance(self, seconds: float) -> None:
        """Let time pass inside a callback, as a computation would."""
        self._jumping.now += seconds


def advance(seconds: float) -> None:
    """Let virtual time pass in the running loop without suspending."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.advance(seconds)
