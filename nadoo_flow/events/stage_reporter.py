"""The reporter of a stage, which makes the events of its items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias, TypeVar

from .._support.clock import get_clock
from .._support.usage import Usage, read_numbers
from ..errors import NodeError, describe_error
from ..streams import Indexed, Work, WrappedWork
from .event import Event, Kind, RunInfo, scope

R = TypeVar("R")

ItemEnd: TypeAlias = "tuple[Kind, str | None, Usage | None]"
Emit: TypeAlias = Callable[[Event], None]

FINISHED: ItemEnd = ("finished", None, None)
DROPPED: ItemEnd = ("dropped", None, None)
CANCELLED: ItemEnd = ("cancelled", None, None)


class StageReporter:
    """Makes the events of one stage of one run.

    It numbers the lanes itself: an item takes the lowest number that is free.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, info: RunInfo, position: int, emit: Emit
    ) -> None:
        self.stage = info.stages[position].stage
        self.number = info.number
        self.position = position
        self.emit = emit
        self.time = get_clock(loop)
        self._loop = loop
        self.free_lanes: list[int] = []
        self.lanes = count()

    def with_events(
        self,
        work: Work[Indexed[Any], R],
        get_end: Callable[[R], ItemEnd] | None = None,
    ) -> Work[Indexed[Any], R]:
        """Wrap the work of a stage in one that emits the events of each item.

        Args:
            work: The work on one item; what it raises is a failure.
            get_end: Returns how an item ended, given the result of the work. By default every item
                with a result has finished.
        """
        return _ReportedWork(self, work, get_end)

    def report_item(self, index: int, seconds: float | None, end: ItemEnd) -> None:
        """Report an item that was not worked on in this stage's mapper, when it has ended.

        Args:
            index: The position of the item in its source.
            seconds: How long the work took; None counts as 0.
            end: How the item ended.
        """
        now, (kind, error, usage) = self.time(), end
        self.emit_item("started", index, None, now - (seconds or 0.0), None)
        self.emit_item(kind, index, None, now, error, usage)

    def report_overflow(self) -> None:
        """Report an item that was dropped before it came in; may be called in any thread."""
        self._loop.call_soon_threadsafe(
            lambda: self.emit_item("dropped", None, None, self.time(), None)
        )

    def emit_item(
        self,
        kind: Kind,
        index: int | None,
        lane: int | None,
        when: float,
        error: str | None,
        usage: Usage | None = None,
    ) -> None:
        """Emit an event of an item."""
        stage, number, position = self.stage, self.number, self.position
        self.emit(Event(kind, stage, index, lane, when, number, position, error, usage))


# Takes half the time of Event(...), which would be paid twice for each item.
_make = tuple.__new__


class _ReportedWork(WrappedWork[Indexed[Any], R]):
    """Emits the events of each item around the work on it."""

    def __init__(
        self,
        report: StageReporter,
        work: Work[Indexed[Any], R],
        get_end: Callable[[R], ItemEnd] | None,
    ) -> None:
        super().__init__(work)
        self._report = report
        self._get_end = get_end

    def start(self, item: Indexed[Any], started: float) -> Any:
        report, index = self._report, item[0]
        lane = heappop(report.free_lanes) if report.free_lanes else next(report.lanes)
        # Each item has a context of its own, so nothing has to be reset.
        scope.set(_Item(report, index, lane))
        stage, number, position = report.stage, report.number, report.position
        event = ("started", stage, index, lane, started, number, position, None, None)
        report.emit(_make(Event, event))
        return self._start(item, started)

    def finish(self, item: Indexed[Any], answer: Any, started: float) -> R:
        return self._report_end(self._finish, item, answer, started)

    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> R:
        return self._report_end(self._fail, item, error, started)

    def _report_end(
        self,
        make: Callable[[Indexed[Any], Any, float], R],
        item: Indexed[Any],
        end: Any,
        started: float,
    ) -> R:
        """Make the result of an item, and report what becomes of that."""
        try:
            result = make(item, end, started)
        except BaseException as error:
            self._end(_describe_end(error))
            raise
        self._end(FINISHED if self._get_end is None else self._get_end(result))
        return result

    def _end(self, end: ItemEnd) -> None:
        report = self._report
        item: Any = scope.get()
        kind, error, usage = end
        if item.error is not None:
            kind, error = "failed", item.error
        if item.usage is not None:
            usage = item.usage
        lane, now = item.lane, report.time()
        heappush(report.free_lanes, lane)
        stage, number, position = report.stage, report.number, report.position
        event = (kind, stage, item.index, lane, now, number, position, error, usage)
        report.emit(_make(Event, event))


class _Item:
    """An item of a watched run, while it is worked on.

    Attributes:
        error: Why it failed, if the run goes on without it.
        usage: What was used for it, if that is known.
    """

    error: str | None = None
    usage: Usage | None = None

    def __init__(self, report: StageReporter, index: int, lane: int) -> None:
        self.report = report
        self.index = index
        self.lane = lane

    def report_retry(self, error: str | None) -> None:
        """Report that the item is tried again."""
        report = self.report
        report.emit_item("retried", self.index, self.lane, report.time(), error)


def note_failure(error: str) -> None:
    """Have the current item reported as failed, though its mapper returns and the run goes on."""
    item = scope.get()
    if isinstance(item, _Item):
        item.error = error


def note_usage(metadata: dict[str, Any]) -> None:
    """Have the end of the current item reported with what was used for it."""
    item = scope.get()
    if isinstance(item, _Item):
        item.usage = read_numbers(metadata.get("usage")) or None


def _describe_end(error: BaseException) -> ItemEnd:
    """Return how an item ended whose work raised an exception."""
    if isinstance(error, NodeError):
        return "failed", error.error, None
    return ("failed", describe_error(error), None) if isinstance(error, Exception) else CANCELLED
