"""The reporter of a stage, which makes the events of its items, and has them followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, TypeAlias, TypeVar

from .._support.clock import get_clock
from .._support.functions import do_nothing
from .._support.usage import Usage
from ..streams import Indexed, Work
from .event import Event, Kind, RunInfo
from .event_log import EventLog, What
from .instrument import ItemEnd, StageFollower
from .item_work import FollowedWork, ReportedWork
from .logged_work import LoggedWork
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
        only_meter: The meter of the stage, if nothing but a log receives the events besides, so
            that those of items that the stage works on need not be made.
        only_log: The log to which they are added, if nothing but a meter receives them besides.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        info: RunInfo,
        position: int,
        emit: Emit,
        follower: StageFollower | None = None,
        only_meter: StageMeter | None = None,
        only_log: EventLog | None = None,
    ) -> None:
        self.stage = info.stages[position].stage
        self.number = info.number
        self.position = position
        self.emit = emit
        self.follower = follower
        self._only_meter = only_meter
        self._only_log = only_log
        self.time = get_clock(loop)
        self._loop = loop
        self.free_lanes: list[int] = []
        self.lanes: Iterator[int] = count()

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
        if self._only_log is not None:
            return LoggedWork(self._only_log, self._only_meter, self, work, get_end)
        if self._only_meter is not None:
            return MeteredWork(self._only_meter, work, get_end)
        if self.emit is do_nothing:
            return FollowedWork(self, work, get_end)
        return ReportedWork(self, work, get_end)

    def describe(self, end: ItemEnd) -> What:
        """Return what happened to an item, as a log keeps it.

        Args:
            end: How the item ended; a log keeps a start in the same form.
        """
        kind, error, usage, _ = end
        return kind, self.stage, self.number, self.position, error, usage

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
