"""The reporter of a run: made when the run begins, for the observers that it has then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Sized
from functools import partial
from itertools import count

from .._support.report_error import report_error
from .event import Event, RunInfo, StageInfo, Watcher, WatchOptions
from .guard import Guard
from .observable import Events
from .stage_reporter import Emit, StageReporter

_numbers = count(1)


class RunReporter:
    """Reports a run to its watchers.

    Attributes:
        stages: The reporter of each stage.
    """

    def __init__(self, info: RunInfo, guards: Sequence[Guard], stages: list[StageReporter]) -> None:
        self.stages = stages
        self._info = info
        self._guards = guards
        for guard in guards:
            guard.on_begin(info)

    async def end(self) -> None:
        """Report that the run has ended."""
        for guard in self._guards:
            guard.on_end(self._info)


def start_reporting(
    stages: Sequence[StageInfo],
    source: object,
    watching: WatchOptions,
    to_all: Events | None,
    to_each: Sequence[Events | None] = (),
) -> RunReporter | None:
    """Report that a run begins, and return its reporter; None if the run is not watched.

    Args:
        stages: The stages of the run.
        source: Its inputs, of which ``len()`` gives the total where they have a length.
        watching: What the caller wants to watch.
        to_all: The Observable that emits the events of all stages.
        to_each: For each stage, an Observable that emits the events of that stage.
    """
    watchers: list[Watcher] = [] if watching.trace is None else [watching.trace]
    if watching.progress:
        from .progress import ProgressBars

        watchers.append(ProgressBars(always=watching.progress == "always"))
    loop = asyncio.get_running_loop()
    report = partial(report_error, loop)
    guards = [Guard(watcher, report) for watcher in watchers]
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
    info = RunInfo(next(_numbers), tuple(stages), _find_length(source))
    reports = [
        StageReporter(loop, info, position, _combine(sink)) for position, sink in enumerate(sinks)
    ]
    return RunReporter(info, guards, reports)


def _find_length(source: object) -> int | None:
    if not isinstance(source, Sized):
        return None
    try:
        return len(source)
    except Exception:  # a source whose len() raises may still be iterated
        return None


def _combine(sinks: Sequence[Emit]) -> Emit:
    if len(sinks) == 1:
        return sinks[0]

    def emit(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return emit
