"""The meter of a stage: counts that can be read at any time, and cost less than events."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .._support.usage import Usage, UsageCount
from .event import Event, Kind, StageInfo, scope

BOUNDS = tuple(1e-6 * 2 ** (step / 4) for step in range(164))
"""The upper bounds of the classes of latencies in seconds, from 1 µs to 21 days, four an octave."""

MOST_FAILURES = 20
"""The latest failures of a stage that are kept."""

LONGEST_ERROR = 1_000
"""Characters of an error that are kept, since nothing bounds what a node puts into one."""


class Failure(NamedTuple):
    """A failed item.

    Attributes:
        index: Its index.
        error: The beginning of its error.
        time: When it failed, by the clock of the event loop.
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index
    error: str
    time: float


class StageMeter:
    """Counts the items of one stage in one run.

    It may be read in any thread. There, an item that is just ending may be counted in part.

    Args:
        info: The stage.
        time: The clock of the event loop.

    Attributes:
        in_work: When the items in work were started, by their indexes, the oldest first.
        latencies: How many items took how long: a number for each class of :data:`BOUNDS`, and a
            last one for those above. Each item that has ended counts.
        last_end: When the last of them ended; when the run began as long as there is none.
        failed: Items that have failed.
        dropped: Items that a filter did not accept.
        cancelled: Items that were cancelled.
        overflowed: Items of an Observable that never came in, because the buffer had no room.
        retried: How often an item was tried again.
        count: What the items used.
        failures: The latest failures.
        on_start: Called when an item is started, if a reader has set it to wait for the next one.
    """

    on_start: Callable[[], None] | None = None

    def __init__(self, info: StageInfo, time: Callable[[], float]) -> None:
        self.info = info
        self.time = time
        self.in_work: dict[int, float] = {}
        self.latencies = [0] * (len(BOUNDS) + 1)
        self.last_end = time()
        self.failed = self.dropped = self.cancelled = self.overflowed = self.retried = 0
        self.count = UsageCount()
        self.failures: deque[Failure] = deque(maxlen=MOST_FAILURES)

    @property
    def ended(self) -> int:
        """How many items have ended, in whatever way."""
        return sum(self.latencies)

    @property
    def finished(self) -> int:
        """How many items have finished."""
        return max(self.ended - self.failed - self.dropped - self.cancelled, 0)

    def on_event(self, event: Event) -> None:
        """Count an event, where events are made for others anyway.

        Args:
            event: An event of the stage.
        """
        index: int | None = event.index
        if event.kind == "retried":
            self.retried += 1
        elif index is None:
            self.overflowed += 1
        elif event.kind == "started":
            self.start_item(index, event.time)
        else:
            self.end_item(index, self.in_work.get(index, event.time), event.time)
            self.note_end(index, event.kind, event.error, event.usage)

    def start_item(self, index: int, started: float) -> None:
        """Note that an item is in work.

        Args:
            index: The position of the item in its source.
            started: When the stage took it.
        """
        if self.on_start is not None:
            self.on_start()
        self.in_work[index] = started

    def end_item(self, index: int, started: float, ended: float) -> None:
        """Count an item that has ended.

        Args:
            index: The position of the item in its source.
            started: When the stage took it.
            ended: When it ended.
        """
        self.in_work.pop(index, None)
        self.latencies[bisect_left(BOUNDS, ended - started)] += 1
        self.last_end = ended

    def note_end(self, index: int, kind: Kind, error: str | None, usage: Usage | None) -> None:
        """Note how an item has ended that was counted.

        Args:
            index: The position of the item in its source.
            kind: That of its last event.
            error: Why it failed, if it did.
            usage: What it used, if that is known.
        """
        if kind == "failed":
            self.failed += 1
            self.failures.append(Failure(index, _cut(error), self.time()))
        elif kind == "dropped":
            self.dropped += 1
        elif kind == "cancelled":
            self.cancelled += 1
        if usage is not None:
            self.count.add({"usage": usage})

    def report_retry(self, error: str | None) -> None:
        """Count that an item is tried again.

        Args:
            error: Why the last try failed; it is not kept.
        """
        self.retried += 1

    def report_fallback(self, node_id: str, error: str | None) -> None:
        """Count nothing, since another node is asked within the same execution.

        Args:
            node_id: The other node.
            error: Why the one before it failed.
        """

    def open_notes(self) -> MeteredItem:
        """Return what is noted of the current item from now on."""
        notes = MeteredItem(self)
        scope.set(notes)
        return notes


class MeteredItem:
    """A metered item of which something is known before its end.

    Attributes:
        error: Why it failed, if the run goes on without it.
        exception: The exception behind that, where there is one.
        usage: What was used for it, if that is known.
    """

    error: str | None = None
    exception: BaseException | None = None
    usage: Usage | None = None

    def __init__(self, meter: StageMeter) -> None:
        self._meter = meter

    def report_retry(self, error: str | None) -> None:
        """Count that the item is tried again."""
        self._meter.report_retry(error)

    def report_fallback(self, node_id: str, error: str | None) -> None:
        """Count nothing, as the meter does."""


def _cut(error: str | None) -> str:
    # A subclass of str may have a way of its own to be sliced.
    return str.__getitem__(error, slice(LONGEST_ERROR)) if isinstance(error, str) else ""
