"""A log of events, which takes less time and memory than the events themselves."""

from __future__ import annotations

import pickle
from collections import deque
from io import BytesIO
from itertools import chain
from threading import RLock
from typing import Any, TypeAlias

from .._support.usage import Usage
from .event import Event, Kind, RunInfo, Watcher

What: TypeAlias = "tuple[Kind, str, int, int, str | None, Usage | None]"
"""What happened: the kind, stage, run, position, error and usage of an event.

Events that differ only in their item share one, of which pickle writes all but the first in two
bytes.
"""

CHUNK = 1_024
"""How many events are packed together."""

FULL = 4 * CHUNK
"""How many values of the latest events make a chunk."""

# Of all logs, since it is held for a moment once a run and a thousand events, and cannot be copied.
_lock = RLock()


class EventLog:
    """Keeps the latest events, and the runs that they are of.

    Args:
        limit: How many events, and how many runs.

    Attributes:
        latest: Those that are not packed yet, oldest first. Each is four values: what happened,
            the index and the lane of the item, and the time.
    """

    def __init__(self, limit: int) -> None:
        self.latest: list[Any] = []
        self._limit = limit
        self._packed: deque[bytes | list[Any]] = deque()
        self._dropped = 0
        self._runs: dict[int, RunInfo] = {}

    def __len__(self) -> int:
        return min(self._count(), self._limit)

    def __getstate__(self) -> dict[str, Any]:
        with _lock:  # a copy may be made in a thread while runs add events in others
            return {
                **vars(self),
                "latest": list(self.latest),
                "_packed": deque(self._packed),
                "_runs": dict(self._runs),
            }

    @property
    def left_out(self) -> int:
        """The number of events that are kept no more."""
        return max(self._count() - self._limit, 0)

    @property
    def runs(self) -> list[RunInfo]:
        """The latest runs, in the order in which they began."""
        with _lock:
            return list(self._runs.values())

    def add_run(self, run: RunInfo) -> None:
        """Add a run that begins.

        Args:
            run: The run.
        """
        with _lock:
            self._runs[run.number] = run
            if len(self._runs) > self._limit:
                del self._runs[next(iter(self._runs))]

    def add(self, event: Event) -> None:
        """Add an event.

        Args:
            event: The event.
        """
        kind, stage, index, lane, time, run, position, error, usage = event
        if isinstance(index, int):
            index = int(index)  # that of an output knows more, which would be packed with it
        # All at once, because runs in other threads may add to the same log.
        self.latest += ((kind, stage, run, position, error, usage), index, lane, time)
        if len(self.latest) >= FULL:
            self.pack()

    def pack(self) -> None:
        """Pack one chunk of the latest events, and drop one that is over the limit."""
        with _lock:
            chunk = self.latest[:FULL]
            if len(chunk) < FULL:  # another thread has packed it
                return
            del self.latest[:FULL]
            self._packed.append(_pack(chunk))
            if self._count() - CHUNK >= self._limit:
                self._packed.popleft()
                self._dropped += CHUNK

    def make_events(self) -> list[Event]:
        """Make the events that are kept, in the order in which they were added."""
        with _lock:
            packed, latest = list(self._packed), list(self.latest)
        values = chain(*map(_unpack, packed), latest)
        events = [
            Event(kind, stage, index, lane, time, run, position, error, usage)
            for (kind, stage, run, position, error, usage), index, lane, time in zip(
                values, values, values, values, strict=True
            )
        ]
        return events[-self._limit :]

    def _count(self) -> int:
        with _lock:
            return self._dropped + CHUNK * len(self._packed) + len(self.latest) // 4


class LoggingWatcher(Watcher):
    """A watcher that keeps the latest events in a log.

    Work on items adds to the log itself, unless a subclass overrides ``on_event``.

    Args:
        limit: Most events to keep.
    """

    def __init__(self, limit: int) -> None:
        self._log = EventLog(limit)

    def on_event(self, event: Event) -> None:
        """Record an event.

        Args:
            event: The event.
        """
        self._log.add(event)


def find_log(watcher: Watcher) -> EventLog | None:
    """Return the log to which the events of a watcher may be added without calling it.

    Args:
        watcher: Any watcher.
    """
    inherited = getattr(watcher.on_event, "__func__", None) is LoggingWatcher.on_event
    return vars(watcher).get("_log") if inherited else None


def _pack(values: list[Any]) -> bytes | list[Any]:
    file = BytesIO()
    try:
        _PlainPickler(file, pickle.HIGHEST_PROTOCOL).dump(values)
    except pickle.PicklingError:
        return values
    return file.getvalue()


class _PlainPickler(pickle.Pickler):
    """Packs nothing that the user's code has to make again, which may fail when it is too late."""

    def reducer_override(self, value: object) -> Any:
        # It is called for what is of no built-in type, such as a subclass of str in an error.
        raise pickle.PicklingError(f"a {type(value).__name__} is not packed")


def _unpack(chunk: bytes | list[Any]) -> list[Any]:
    values: list[Any] = pickle.loads(chunk) if isinstance(chunk, bytes) else chunk
    return values
