"""The reporter of a stage, which makes the events of its items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias, TypeVar

from .._support.clock import get_clock
from ..errors import NodeError, describe_error
from ..streams import Indexed
from .event import Event, Kind, RunInfo, scope

R = TypeVar("R")

ItemEnd: TypeAlias = "tuple[Kind, str | None]"
Mapper: TypeAlias = Callable[[Indexed[Any]], Coroutine[Any, Any, R]]
Emit: TypeAlias = Callable[[Event], None]

FINISHED: ItemEnd = ("finished", None)
DROPPED: ItemEnd = ("dropped", None)


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
        self._free: list[int] = []
        self._lanes = count()

    def with_events(
        self,
        mapper: Mapper[R],
        get_end: Callable[[R], ItemEnd] | None = None,
    ) -> Mapper[R]:
        """Wrap the mapper of a stage in one that emits the events of each item.

        Args:
            mapper: The work on one item; what it raises is a failure.
            get_end: Returns how an item ended, given what the mapper returned for it. By default
                every item that returns has finished.
        """
        emit, time, free, lanes = self.emit, self.time, self._free, self._lanes
        stage, number, position = self.stage, self.number, self.position
        # Half as slow as Event(...), which would be paid twice for each item.
        made = tuple.__new__

        async def mapper_with_events(indexed: Indexed[Any]) -> R:
            index = indexed[0]
            lane = heappop(free) if free else next(lanes)
            item = _Item(self, index, lane)
            # Each item has a context of its own, so nothing has to be reset.
            scope.set(item)
            emit(made(Event, ("started", stage, index, lane, time(), number, position, None)))
            kind: Kind = "cancelled"
            error: str | None = None
            try:
                result = await mapper(indexed)
                kind, error = FINISHED if get_end is None else get_end(result)
                if item.error is not None:
                    kind, error = "failed", item.error
            except Exception as raised:
                kind, error = "failed", _describe_failure(raised)
                raise
            finally:
                heappush(free, lane)
                emit(made(Event, (kind, stage, index, lane, time(), number, position, error)))
            return result

        return mapper_with_events

    def report_item(self, index: int, seconds: float | None, end: ItemEnd) -> None:
        """Report an item that was not worked on in this stage's mapper, when it has ended.

        Args:
            index: The position of the item in its source.
            seconds: How long the work took; None counts as 0.
            end: How the item ended.
        """
        now, (kind, error) = self.time(), end
        self._emit("started", index, now - (seconds or 0.0))
        self._emit(kind, index, now, error)

    def report_overflow(self) -> None:
        """Report an item that was dropped before it came in; may be called in any thread."""
        self._loop.call_soon_threadsafe(lambda: self._emit("dropped", None, self.time()))

    def _emit(self, kind: Kind, index: int | None, when: float, error: str | None = None) -> None:
        self.emit(Event(kind, self.stage, index, None, when, self.number, self.position, error))


class _Item:
    """An item of a watched run, while it is worked on."""

    __slots__ = ("error", "index", "lane", "report")

    def __init__(self, report: StageReporter, index: int, lane: int) -> None:
        self.report = report
        self.index = index
        self.lane = lane
        self.error: str | None = None

    def report_retry(self, error: str | None) -> None:
        """Report that the item is tried again."""
        report = self.report
        report.emit(
            Event(
                "retried",
                report.stage,
                self.index,
                self.lane,
                report.time(),
                report.number,
                report.position,
                error,
            )
        )


def note_failure(error: str) -> None:
    """Have the current item reported as failed, though its mapper returns and the run goes on."""
    item = scope.get()
    if isinstance(item, _Item):
        item.error = error


def _describe_failure(error: Exception) -> str:
    return error.error if isinstance(error, NodeError) else describe_error(error)
