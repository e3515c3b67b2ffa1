"""An Observable as a source: it pushes when it likes, from any thread, and cannot be slowed."""

from __future__ import annotations

import threading
from collections import deque
from queue import Empty
from typing import Generic, TypeVar

from reactivex import Observable, abc

from .pump import Indexed, Pump
from .subscription import Subscription

T = TypeVar("T")


class HotSource(abc.ObserverBase[T], Generic[T]):
    """Buffers what an Observable emits and lets the run take it within its demand.

    Signals may come from any thread: they reach the event loop safely and wake it. If the loop is
    closed, ``on_next`` raises into the emitting thread.
    """

    def __init__(self, run: Subscription, observer: abc.ObserverBase[Indexed[T]]) -> None:
        self._run = run
        self._buffer: deque[T] = deque()
        self._end: Exception | None = None
        self._lock = threading.Lock()
        self._awake = False
        self._pump = Pump(run, self._pull, observer)

    def connect(self, source: Observable[T]) -> abc.DisposableBase:
        """Subscribe to the source."""
        return source.subscribe(self)

    def on_next(self, value: T) -> None:
        if self._run.stopped:
            return
        with self._lock:
            self._buffer.append(value)
        self._wake()

    def on_error(self, error: Exception) -> None:
        self._end = error
        self._wake()

    def on_completed(self) -> None:
        self._end = StopIteration()
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._awake:
                return
            self._awake = True
        self._run.loop.call_soon_threadsafe(self._on_wake)

    def _on_wake(self) -> None:
        with self._lock:
            self._awake = False
        self._pump.pump()

    def _pull(self) -> T:
        if self._buffer:
            return self._buffer.popleft()
        if self._end is not None:
            raise self._end
        raise Empty
