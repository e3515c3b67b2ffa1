"""The reporter of a stage, which makes the events of its items, and has them followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias, TypeVar

from .._support.clock import get_clock
from .._support.functions import do_nothing
from .._support.usage import Usage
from ..streams import Indexed, Work, WrappedWork
from .event import Event, Kind, RunInfo, scope
from .instrument import ItemEnd, StageFollower
from .item import Item
from .item_end import FINISHED, describe_end
from .meter import StageMeter
from .metered_work import MeteredWork

R = TypeVar("R")

Emit: TypeAlias = Callable[[Event], None]


class StageReporter:
    """Makes the events of one stage of one run.

    It numbers the lanes itself: an item takes the lowest number that is free.

    Args:
        loop: The event loop of the run.
        info: The run.
        position: The position of the stage in it.
        emit: Receives the events.
        follower: Follows the items.
        only_meter: The meter of the stage, if nothing else receives the events, so that those of
            items that the stage works on need not be made.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        info: RunInfo,
        position: int,
        emit: Emit,
        follower: StageFollower | None = None,
        only_meter: StageMeter | None = None,
    ) -> None:
        self.stage = info.stages[position].stage
        self.number = info.number
        self.position = position
        self.emit = emit
        self.follower = follower
        self._only_meter = only_meter
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
        if self._only_meter is not None:
            return MeteredWork(self._only_meter, work, get_end)
        if self.emit is do_nothing:
            return _FollowedWork(self, work, get_end)
        return _ReportedWork(self, work, get_end)

    def report_item(self, index: int, seconds: float | None, end: ItemEnd) -> None:
        """Report an item that was not worked on in this stage's mapper, when it has ended.

        Args:
            index: The position of the item in its source.
            seconds: How long the work took; None counts as 0.
            end: How the item ended.
        """
        now = self.time()
        self.emit_item("started", index, None, now - (seconds or 0.0), None)
        self.emit_item(end.kind, index, None, now, end.error, end.usage)
        if self.follower is not None:
            self.follower.count_item(end.kind)

    def report_overflow(self) -> None:
        """Report an item that was dropped before it came in; may be called in any thread."""
        self._loop.call_soon_threadsafe(self._report_drop)

    def _report_drop(self) -> None:
        self.emit_item("dropped", None, None, self.time(), None)
        if self.follower is not None:
            self.follower.count_item("dropped")

    def emit_retry(self, index: int, lane: int | None, error: str | None) -> None:
        """Emit that an item is tried again.

        Args:
            index: The position of the item in its source.
            lane: Its lane, if it has one.
            error: Why the last try failed, if that is known.
        """
        self.emit_item("retried", index, lane, self.time(), error)

    def emit_item(
        self,
        kind: Kind,
        index: int | None,
        lane: int | None,
        when: float,
        error: str | None,
        usage: Usage | None = None,
    ) -> None:
        """Emit an event of an item.

        Args:
            kind: That of the event.
            index: The position of the item in its source, if it has one.
            lane: Its lane, if it has one.
            when: Seconds, by the clock of the event loop.
            error: Why it failed, if it did.
            usage: What it used, if that is known.
        """
        stage, number, position = self.stage, self.number, self.position
        self.emit(Event(kind, stage, index, lane, when, number, position, error, usage))


# Takes half the time of Event(...), which would be paid twice for each item.
_make = tuple.__new__


class _ItemWork(WrappedWork[Indexed[Any], R]):
    """The base of what reports the start and the end of the work on each item."""

    def __init__(
        self,
        report: StageReporter,
        work: Work[Indexed[Any], R],
        get_end: Callable[[R], ItemEnd] | None,
    ) -> None:
        super().__init__(work)
        self._report = report
        self._get_end = get_end

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
            self._end(describe_end(error), started)
            raise
        self._end(FINISHED if self._get_end is None else self._get_end(result), started)
        return result

    def _end(self, end: ItemEnd, started: float) -> None:
        raise NotImplementedError


class _ReportedWork(_ItemWork[R]):
    """Emits the events of each item around the work on it."""

    def start(self, item: Indexed[Any], started: float) -> Any:
        report, index = self._report, item[0]
        lane = heappop(report.free_lanes) if report.free_lanes else next(report.lanes)
        # Each item has a context of its own, so nothing has to be reset.
        current = Item(report, index, lane)
        scope.set(current)
        stage, number, position = report.stage, report.number, report.position
        event = ("started", stage, index, lane, started, number, position, None, None)
        report.emit(_make(Event, event))
        if report.follower is not None:
            current.followed = report.follower.start_item(index)
        return self._start(item, started)

    def _end(self, end: ItemEnd, started: float) -> None:
        report = self._report
        item: Any = scope.get()
        if item.error is not None or item.usage is not None:
            end = item.complete_end(end)
        kind, error, usage, _ = end
        lane, now = item.lane, report.time()
        heappush(report.free_lanes, lane)
        stage, number, position = report.stage, report.number, report.position
        event = (kind, stage, item.index, lane, now, number, position, error, usage)
        report.emit(_make(Event, event))
        if report.follower is not None:
            report.follower.end_item(item.followed, end, now - started)


class _FollowedWork(_ItemWork[R]):
    """Makes each item known inside the work on it, and has it followed, without events."""

    def start(self, item: Indexed[Any], started: float) -> Any:
        report, index = self._report, item[0]
        current = Item(report, index, None)
        scope.set(current)
        if report.follower is not None:
            current.followed = report.follower.start_item(index)
        return self._start(item, started)

    def _end(self, end: ItemEnd, started: float) -> None:
        report = self._report
        if report.follower is not None:
            item: Any = scope.get()
            seconds = report.time() - started
            report.follower.end_item(item.followed, item.complete_end(end), seconds)
