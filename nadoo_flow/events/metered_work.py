"""The work of a stage, with a meter around it and without events."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, TypeVar

from typing_extensions import override

from ..streams import Indexed, Work
from .event import scope
from .instrument import ItemEnd
from .item_end import FINISHED, describe_end
from .item_work import EndedWork
from .meter import BOUNDS, MeteredItem, StageMeter

R = TypeVar("R")


class MeteredWork(EndedWork[R]):
    """Counts each item around the work on it.

    Args:
        meter: Counts.
        work: The work.
        get_end: As for :class:`EndedWork`.
    """

    def __init__(
        self,
        meter: StageMeter,
        work: Work[Indexed[Any], R],
        get_end: Callable[[R], ItemEnd] | None,
    ) -> None:
        super().__init__(work, get_end)
        self._meter = meter
        self._in_work = meter.in_work
        self._latencies = meter.latencies
        self._time = meter.time

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        meter = self._meter
        if meter.on_start is not None:
            meter.on_start()
        self._in_work[item[0]] = started
        # Each item has a context of its own, so nothing has to be reset.
        scope.set(meter)
        return self._start(item, started)

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> R:
        try:
            result = self._finish(item, answer, started)
        except BaseException as error:
            self._end(item[0], describe_end(error), started)
            raise
        # What _end() does, whose call would be paid for each item.
        now = self._meter.last_end = self._time()
        self._in_work.pop(item[0], None)
        self._latencies[bisect_left(BOUNDS, now - started)] += 1
        end = FINISHED if self._get_end is None else self._get_end(result)
        if end is not FINISHED or scope.get() is not self._meter:
            self._note(item[0], end)
        return result

    @override
    def _end(self, index: int, end: ItemEnd, started: float) -> None:
        self._meter.end_item(index, started, self._time())
        self._note(index, end)

    def _note(self, index: int, end: ItemEnd) -> None:
        kind, error, usage, _ = end
        notes = scope.get()
        if isinstance(notes, MeteredItem):
            if notes.error is not None:
                kind, error = "failed", notes.error
            usage = usage if notes.usage is None else notes.usage
        self._meter.note_end(index, kind, error, usage)
