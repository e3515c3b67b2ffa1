"""An Observable as a source: it emits without demand, in any thread, so its items are buffered."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Generic, Self, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable
from typing_extensions import override

from ..._support.checks import check_positive_int, describe_value
from ..direct import Indexed
from ..draining import DrainPart
from ..loop_thread import call_soon
from ..subscription import Subscription
from .pump import NothingYet, Pump, SourceFailed

T = TypeVar("T")

BUFFER = 65_536
"""Items of an Observable that may wait until the run can take them."""


class OverflowStrategy(Enum):
    """The treatment of an item of an Observable for which the buffer has no room.

    Example:
        >>> import reactivex as rx
        >>> ticks = rx.interval(1.0).pipe(rx.operators.take(9))  # which cannot be slowed down
        >>> stage = MapNode(child_node=lambda n: asyncio.sleep(3, n), max_concurrency=1)
        >>> async def main():
        ...     newest = {"buffer": 1, "overflow": OverflowStrategy.DROP_OLDEST}
        ...     return [n async for n in stage.stream(ticks, max_in_flight=1, **newest)]
        >>> asyncio.run(main())
        [0, 3, 6, 8]
    """

    ERROR = "error"
    """The run ends with a BufferOverflowError, after the items that had arrived before."""
    DROP_OLDEST = "drop_oldest"
    """The item that has waited longest is dropped and counted."""
    DROP_NEWEST = "drop_newest"
    """The item itself is dropped and counted."""
    BUFFER = "buffer"
    """The buffer grows without a limit."""


class BufferOverflowError(RuntimeError):
    """An Observable emitted faster than the run could take it for too long.

    Example:
        >>> import reactivex as rx
        >>> stage = MapNode(child_node=lambda n: asyncio.sleep(3, n), max_concurrency=1)
        >>> async def main():
        ...     return [n async for n in stage.stream(rx.interval(1.0), max_in_flight=1, buffer=1)]
        >>> try:
        ...     asyncio.run(main())
        ... except BufferOverflowError:
        ...     print("too fast")
        too fast
    """


@dataclass(frozen=True)
class Buffering:
    """The size of the buffer for the items of an Observable, and the treatment of more.

    Attributes:
        size: Most items that may wait.
        overflow: What happens to more.
        on_dropped: Called for each item that is dropped, in the thread of the Observable.
    """

    size: int = BUFFER
    overflow: OverflowStrategy = OverflowStrategy.ERROR
    on_dropped: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        # A frozen dataclass cannot assign to its fields.
        object.__setattr__(self, "size", check_positive_int(self.size, "buffer"))
        if not isinstance(self.overflow, OverflowStrategy):
            raise TypeError(
                f"overflow must be an OverflowStrategy, got {describe_value(self.overflow)}"
            )

    def with_drop_handler(self, on_dropped: Callable[[], None]) -> Buffering:
        """Return the same with a function that is called, in any thread, for each dropped item.

        Args:
            on_dropped: The function.
        """
        return replace(self, on_dropped=on_dropped)


class HotSource(abc.ObserverBase[T], DrainPart, Generic[T]):
    """Buffers what an Observable emits, and emits it within the demand of the run.

    Signals may come from any thread: they reach the event loop safely and wake it. If the loop is
    closed, ``on_next`` raises into the emitting thread.
    """

    def __init__(
        self, run: Subscription, buffering: Buffering, observer: abc.ObserverBase[Indexed[T]]
    ) -> None:
        self._run = run
        self._buffering = buffering
        self._buffer: deque[T] = deque()
        # Made anew where it is raised, for its traceback would keep the consumer alive.
        self._make_end: Callable[[], Exception] | None = None
        self._lock = threading.Lock()
        self._awake = False
        self._upstream = SingleAssignmentDisposable()
        self._pump = Pump(run, lambda: self, observer)

    def connect(
        self, source: Observable[T], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        """Subscribe to the source; what it emits at once waits for the next turn of the loop."""
        self._run.draining.add_part(self)
        if not self._run.draining.has_begun:
            self._upstream.disposable = source.subscribe(self, scheduler=scheduler)
        return self._upstream

    def stop_starting(self) -> None:
        """Drop what waits, and take nothing more."""
        with self._lock:
            self._run.draining.not_started += len(self._buffer)
            self._buffer.clear()
            self._make_end = self._make_end or StopIteration
        self._pump.stop_starting()

    def settle_unstarted(self) -> None:
        """Leave the Observable, and emit the end, which may be an error that has arrived."""
        self._upstream.dispose()
        end = StopIteration() if self._make_end is None else self._make_end()
        self._pump.end(end.error if isinstance(end, SourceFailed) else None)

    @override
    def on_next(self, value: T) -> None:
        with self._lock:
            if self._make_end is not None or self._run.stopped:
                return
            has_room = self._store(value)
        if not has_room:
            self._upstream.dispose()
        self._wake()

    @override
    def on_error(self, error: Exception) -> None:
        self._end_with(partial(SourceFailed, error))

    @override
    def on_completed(self) -> None:
        self._end_with(StopIteration)

    def _store(self, value: T) -> bool:
        size, overflow = self._buffering.size, self._buffering.overflow
        if len(self._buffer) < size or overflow is OverflowStrategy.BUFFER:
            self._buffer.append(value)
            return True
        if overflow is OverflowStrategy.ERROR:
            self._make_end = partial(
                SourceFailed,
                BufferOverflowError(
                    f"an Observable emitted while {size} of its items were still waiting; "
                    "raise buffer=, choose another overflow=, or slow the Observable down"
                ),
            )
            return False
        if overflow is OverflowStrategy.DROP_OLDEST:
            self._buffer.popleft()
            self._buffer.append(value)
        self._run.dropped += 1
        if self._buffering.on_dropped is not None:
            self._buffering.on_dropped()
        return True

    def _end_with(self, make_end: Callable[[], Exception]) -> None:
        with self._lock:
            if self._make_end is not None:
                return
            self._make_end = make_end
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if not self._awake:
                # Before _awake is set, so that it raises at every call if the loop is closed.
                call_soon(self._run, self._on_wake)
                self._awake = True

    def _on_wake(self) -> None:
        with self._lock:
            self._awake = False
        self._pump.pump()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._lock:
            if self._buffer:
                return self._buffer.popleft()
            make_end = self._make_end or NothingYet
        raise make_end()
