"""Work on items that are reported or followed while it is done."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, TypeVar

from typing_extensions import override

from ..streams import Indexed, Work, WrappedWork
from .event import Event, scope
from .instrument import ItemEnd
from .item import Item, ItemReporter
from .item_end import FINISHED, describe_end

R = TypeVar("R")

# Takes half the time of Event(...), which would be paid twice for each item.
_make = tuple.__new__


class EndedWork(WrappedWork[Indexed[Any], R]):
    """The base of what notes how the work on each item has ended.

    Args:
        work: The work.
        get_end: Returns how an item ended, given the result of the work. By default every item with
            a result has finished.
    """

    def __init__(self, work: Work[Indexed[Any], R], get_end: Callable[[R], ItemEnd] | None) -> None:
        super().__init__(work)
        self._get_end = get_end

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> R:
        return self._make_result(self._finish, item, answer, started)

    @override
    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> R:
        return self._make_result(self._fail, item, error, started)

    def _make_result(
        self,
        make: Callable[[Indexed[Any], Any, float], R],
        item: Indexed[Any],
        end: Any,
        started: float,
    ) -> R:
        """Make the result of an item, and note what becomes of that."""
        try:
            result = make(item, end, started)
        except BaseException as error:
            self._end(item[0], describe_end(error), started)
            raise
        self._end(item[0], FINISHED if self._get_end is None else self._get_end(result), started)
        return result

    def _end(self, index: int, end: ItemEnd, started: float) -> None:
        raise NotImplementedError


class ItemWork(EndedWork[R]):
    """The base of what reports the start and the end of the work on each item.

    Args:
        report: The reporter of the stage.
        work: The work.
        get_end: As for :class:`EndedWork`.
    """

    def __init__(
        self,
        report: ItemReporter,
        work: Work[Indexed[Any], R],
        get_end: Callable[[R], ItemEnd] | None,
    ) -> None:
        super().__init__(work, get_end)
        self._report = report
        self._free_lanes = report.free_lanes
        self._time = report.time


class ReportedWork(ItemWork[R]):
    """Emits the events of each item around the work on it."""

    def __init__(
        self,
        report: ItemReporter,
        work: Work[Indexed[Any], R],
        get_end: Callable[[R], ItemEnd] | None,
    ) -> None:
        super().__init__(report, work, get_end)
        self._emit = report.emit
        self._place = report.stage, report.number, report.position

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        report, index, free = self._report, item[0], self._free_lanes
        lane = heappop(free) if free else next(report.lanes)
        # Each item has a context of its own, so nothing has to be reset.
        scope.set((report, index, lane))
        stage, number, position = self._place
        event = ("started", stage, index, lane, started, number, position, None, None)
        self._emit(_make(Event, event))
        if report.follower is not None:
            current = Item((report, index, lane))
            scope.set(current)
            current.followed = report.follower.start_item(index)
        return self._start(item, started)

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> R:
        try:
            result = self._finish(item, answer, started)
        except BaseException as error:
            self._end(item[0], describe_end(error), started)
            raise
        end = FINISHED if self._get_end is None else self._get_end(result)
        mark: Any = scope.get()
        if end is not FINISHED or type(mark) is Item:
            self._end(item[0], end, started)
            return result
        # What _end() does, whose call would be paid for each item.
        _, index, lane = mark
        heappush(self._free_lanes, lane)
        stage, number, position = self._place
        event = ("finished", stage, index, lane, self._time(), number, position, None, None)
        self._emit(_make(Event, event))
        return result

    @override
    def _end(self, index: int, end: ItemEnd, started: float) -> None:
        mark: Any = scope.get()
        followed: Any = None
        if type(mark) is Item:
            end, mark, followed = mark.complete_end(end), mark.mark, mark.followed
        lane = mark[2]
        kind, error, usage, _ = end
        now = self._time()
        heappush(self._free_lanes, lane)
        stage, number, position = self._place
        event = (kind, stage, index, lane, now, number, position, error, usage)
        self._emit(_make(Event, event))
        follower = self._report.follower
        if follower is not None:
            follower.end_item(followed, end, now - started)


class FollowedWork(ItemWork[R]):
    """Makes each item known inside the work on it, and has it followed, without events."""

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        report, index = self._report, item[0]
        mark = (report, index, None)
        if report.follower is None:
            scope.set(mark)
        else:
            current = Item(mark)
            scope.set(current)
            current.followed = report.follower.start_item(index)
        return self._start(item, started)

    @override
    def _end(self, index: int, end: ItemEnd, started: float) -> None:
        report = self._report
        if report.follower is not None:
            item: Any = scope.get()
            seconds = report.time() - started
            report.follower.end_item(item.followed, item.complete_end(end), seconds)
