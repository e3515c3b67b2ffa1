"""Events of runs: an Observable of what happens, and what makes them while somebody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence, Sized
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from .clock import clock_of
from .errors import NodeError, describe
from .streams import Indexed
from .watching import Event, Kind, RunInfo, StageInfo, Watcher, Watching, scope

R = TypeVar("R")

Outcome: TypeAlias = "tuple[Kind, str | None]"
Work: TypeAlias = Callable[[Indexed[Any]], Coroutine[Any, Any, R]]
Emit: TypeAlias = Callable[[Event], None]
Report: TypeAlias = Callable[[str, BaseException], None]

FINISHED: Outcome = ("finished", None)
DROPPED: Outcome = ("dropped", None)

_numbers = count(1)


class Events(Observable[Event]):
    """A hot Observable of what happens in all runs of a processor or stage; it never completes.

    A run looks at its beginning whether anybody has subscribed. If nobody has, it makes no events
    at all. An observer that raises is unsubscribed, and the event loop's exception handler is told.
    """

    def __init__(self) -> None:
        super().__init__()
        self._observers: tuple[abc.ObserverBase[Event], ...] = ()

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._observers)

    def emit(self, report: Report, event: Event) -> None:
        """Tell all who are subscribed, and report those that raise."""
        for observer in self._observers:
            try:
                observer.on_next(event)
            except Exception as error:
                self._remove(observer)
                report("an observer of events raised, it is unsubscribed", error)

    def _subscribe_core(
        self, observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        with self.lock:
            self._observers += (observer,)
        return Disposable(lambda: self._remove(observer))

    def _remove(self, observer: abc.ObserverBase[Event]) -> None:
        with self.lock:
            self._observers = tuple(known for known in self._observers if known is not observer)

    def __reduce__(self) -> tuple[type[Events], tuple[()]]:
        # A copy of a node is a node of its own: nobody has subscribed to it.
        return Events, ()


class RunReport:
    """Tells all who watch a run what happens in it.

    Attributes:
        stages: Who makes the events of each stage.
    """

    def __init__(self, info: RunInfo, guards: Sequence[_Guard], stages: list[StageReport]) -> None:
        self.stages = stages
        self._info = info
        self._guards = guards
        for guard in guards:
            guard.on_begin(info)

    async def end(self) -> None:
        """Tell that the run has ended."""
        for guard in self._guards:
            guard.on_end(self._info)


def report_run(
    stages: Sequence[StageInfo],
    source: object,
    watching: Watching,
    to_all: Events | None,
    to_each: Sequence[Events | None] = (),
) -> RunReport | None:
    """Begin to report a run, or return None if nobody wants to know.

    Args:
        stages: The stages of the run.
        source: Its inputs, whose number is known if they have a length.
        watching: What the caller wants to see.
        to_all: Gets the events of all stages.
        to_each: For each stage, who else gets its events.
    """
    watchers: list[Watcher] = [] if watching.trace is None else [watching.trace]
    if watching.progress:
        from .progress import Progress

        watchers.append(Progress(always=watching.progress == "always"))
    loop = asyncio.get_running_loop()
    report = partial(_report, loop)
    guards = [_Guard(watcher, report) for watcher in watchers]
    common: list[Emit] = [guard.on_event for guard in guards]
    if to_all is not None and to_all.observed:
        common.append(partial(to_all.emit, report))
    sinks: list[list[Emit]] = [
        [*common, partial(own.emit, report)]
        if own is not None and own is not to_all and own.observed
        else common
        for own in to_each or [None] * len(stages)
    ]
    if not any(sinks):
        return None
    info = RunInfo(next(_numbers), tuple(stages), _length(source))
    reports = [
        StageReport(loop, info, position, _to_each(sink)) for position, sink in enumerate(sinks)
    ]
    return RunReport(info, guards, reports)


class StageReport:
    """Makes the events of one stage of one run.

    Lanes are numbered here: an item takes the lowest number that is free.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, info: RunInfo, position: int, emit: Emit
    ) -> None:
        self.stage = info.stages[position].stage
        self.number = info.number
        self.position = position
        self.emit = emit
        self.time = clock_of(loop)
        self._loop = loop
        self._free: list[int] = []
        self._lanes = count()

    def watched(
        self,
        work: Work[R],
        outcome: Callable[[R], Outcome] | None = None,
    ) -> Work[R]:
        """Wrap the work of a stage, so that it tells of each item.

        Args:
            work: The work; what it raises is a failure.
            outcome: Says what became of the item by what the work returned.
        """
        emit, time, free, lanes = self.emit, self.time, self._free, self._lanes
        stage, number, position = self.stage, self.number, self.position
        # Event() itself takes twice as long, and is called twice for each item.
        made = tuple.__new__

        async def watched_work(indexed: Indexed[Any]) -> R:
            index = indexed[0]
            lane = heappop(free) if free else next(lanes)
            item = _Item(self, index, lane)
            # Each item has a context of its own, so nothing has to be reset.
            scope.set(item)
            emit(made(Event, ("started", stage, index, lane, time(), number, position, None)))
            kind: Kind = "cancelled"
            error: str | None = None
            try:
                result = await work(indexed)
                kind, error = FINISHED if outcome is None else outcome(result)
                if item.error is not None:
                    kind, error = "failed", item.error
            except Exception as raised:
                kind, error = "failed", _words(raised)
                raise
            finally:
                heappush(free, lane)
                emit(made(Event, (kind, stage, index, lane, time(), number, position, error)))
            return result

        return watched_work

    def settled(self, index: int, seconds: float | None, outcome: Outcome) -> None:
        """Tell of an item that somebody else has worked on, when it is over."""
        now, (kind, error) = self.time(), outcome
        self._tell("started", index, now - (seconds or 0.0))
        self._tell(kind, index, now, error)

    def overflowed(self) -> None:
        """Tell of an item that was dropped before it came in; from any thread."""
        self._loop.call_soon_threadsafe(lambda: self._tell("dropped", None, self.time()))

    def _tell(self, kind: Kind, index: int | None, when: float, error: str | None = None) -> None:
        self.emit(Event(kind, self.stage, index, None, when, self.number, self.position, error))


class _Item:
    """What an item of a watched run can tell of itself while it is worked on."""

    __slots__ = ("error", "index", "lane", "report")

    def __init__(self, report: StageReport, index: int, lane: int) -> None:
        self.report = report
        self.index = index
        self.lane = lane
        self.error: str | None = None

    def retried(self, error: str | None) -> None:
        """Tell that the item is tried again."""
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
    """Remember that the current item has failed, though the run goes on without it."""
    item = scope.get()
    if isinstance(item, _Item):
        item.error = error


def _words(error: Exception) -> str:
    return error.error if isinstance(error, NodeError) else describe(error)


def _length(source: object) -> int | None:
    if not isinstance(source, Sized):
        return None
    try:
        return len(source)
    except Exception:  # a source that cannot tell how long it is may still be good to iterate over
        return None


def _to_each(sinks: Sequence[Emit]) -> Emit:
    if len(sinks) == 1:
        return sinks[0]

    def emit(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return emit


def _report(loop: asyncio.AbstractEventLoop, message: str, error: BaseException) -> None:
    loop.call_exception_handler({"message": message, "exception": error})


class _Guard:
    """Keeps what a watcher raises from the run, and bothers no more one that raised."""

    def __init__(self, watcher: Watcher, report: Report) -> None:
        self._watcher = watcher
        self._on_event = watcher.on_event
        self._report = report
        self._broken = False

    def on_begin(self, run: RunInfo) -> None:
        try:
            self._watcher.on_begin(run)
        except Exception as error:
            self._give_up(error)

    def on_event(self, event: Event) -> None:
        # Called for every event, so it has no more than this to do.
        try:
            self._on_event(event)
        except Exception as error:
            self._give_up(error)

    def on_end(self, run: RunInfo) -> None:
        if self._broken:
            return
        try:
            self._watcher.on_end(run)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._broken = True
        self._on_event = _ignore
        self._report("a watcher of a run raised, it is told no more", error)


def _ignore(event: Event) -> None:
    """Learn nothing."""
