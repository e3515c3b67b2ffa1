"""The work of a stage, with a log around it and without events."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, TypeVar

from typing_extensions import override

from ..streams import Indexed, Work
from .event import scope
from .event_log import FULL, EventLog
from .instrument import ItemEnd
from .item import Item, ItemReporter
from .item_end import FINISHED, describe_end
from .item_work import ItemWork
from .meter import StageMeter

R = TypeVar("R")


class LoggedWork(ItemWork[R]):
    """Adds the events of each item to a log, without making them.

    Args:
        log: The log.
        meter: Counts the items too, if it is given.
        report: The reporter of the stage.
        work: The work.
        get_end: Returns how an item ended, given the result of the work.
    """

    def __init__(
        self,
        log: EventLog,
        meter: StageMeter | None,
        report: ItemReporter,
        work: Work[Indexed[Any], R],
        get_end: Callable[[R], ItemEnd] | None,
    ) -> None:
        super().__init__(report, work, get_end)
        self._log = log
        self._meter = meter
        self._latest = log.latest
        self._started = report.describe(ItemEnd("started"))
        self._finished = report.describe(FINISHED)
        self._frequent_end = FINISHED if meter is None else None
        if meter is not None:
            self.start = self._start_counted  # type: ignore[method-assign]

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        # The index of an output knows more, which would be packed with it.
        index = +item[0]
        report, free = self._report, self._free_lanes
        lane = heappop(free) if free else next(report.lanes)
        scope.set((report, index, lane))
        latest = self._latest
        latest += (self._started, index, lane, started)
        return self._start(item, started)

    def _start_counted(self, item: Indexed[Any], started: float) -> Any:
        if self._meter is not None:
            self._meter.start_item(item[0], started)
        return LoggedWork.start(self, item, started)

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> R:
        try:
            result = self._finish(item, answer, started)
        except BaseException as error:
            self._end(item[0], describe_end(error), started)
            raise
        end = FINISHED if self._get_end is None else self._get_end(result)
        mark: Any = scope.get()
        if end is not self._frequent_end or type(mark) is Item:
            self._end(item[0], end, started)
            return result
        # What _end() does, whose call would be paid for each item.
        _, index, lane = mark
        heappush(self._free_lanes, lane)
        latest = self._latest
        latest += (self._finished, index, lane, self._time())
        if len(latest) >= FULL:
            self._log.pack()
        return result

    @override
    def _end(self, index: int, end: ItemEnd, started: float) -> None:
        mark: Any = scope.get()
        if type(mark) is Item:
            end, mark = mark.complete_end(end), mark.mark
        _, plain_index, lane = mark
        what = self._finished if end is FINISHED else self._report.describe(end)
        heappush(self._free_lanes, lane)
        now, latest = self._time(), self._latest
        latest += (what, plain_index, lane, now)
        if len(latest) >= FULL:
            self._log.pack()
        if self._meter is not None:
            self._meter.end_item(index, started, now)
            if end is not FINISHED:
                self._meter.note_end(index, end.kind, end.error, end.usage)
