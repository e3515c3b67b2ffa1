"""The reporter of a run: made when the run begins, for the observers that it has then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Sized
from functools import partial
from itertools import count

from .._support.functions import do_nothing
from .._support.report_error import report_error
from ..streams import Subscription
from .event import Event, RunInfo, StageInfo, Watcher, WatchOptions
from .guard import Guard
from .instrument import Instrument, RunFollower, StageFollower, around, readers
from .meter import StageMeter
from .observable import Events, find_readers
from .run_meter import RunMeter
from .stage_reporter import Emit, StageReporter

_numbers = count(1)


class RunReporter:
    """Reports a run to its watchers, and to what follows it.

    Attributes:
        stages: The reporter of each stage.

    Args:
        info: The run, as it is known when it begins.
        guards: Its watchers, each behind what catches its errors.
        follower: Follows the run, if something does.
    """

    def __init__(
        self,
        info: RunInfo,
        guards: Sequence[Guard],
        stages: list[StageReporter],
        follower: RunFollower | None,
    ) -> None:
        self.stages = stages
        self._info = info
        self._guards = guards
        self._follower = follower

    def end_with(self, run: Subscription) -> None:
        """Report the end of the run when a subscription ends.

        Args:
            run: The subscription.
        """

        async def end() -> None:
            if self._follower is not None:
                self._follower.end(run.error, run.completed)
            self.end()

        run.add_cleanup(end)

    def end(self) -> None:
        """Report to the watchers that the run has ended."""
        for guard in self._guards:
            guard.on_end(self._info)


def start_reporting(
    stages: Sequence[StageInfo],
    source: object,
    watching: WatchOptions,
    to_all: Events | None,
    to_each: Sequence[Events | None] = (),
    *,
    run: Subscription | None = None,
    instrument: Instrument | None = None,
) -> RunReporter | None:
    """Report that a run begins, and return its reporter; None if nothing watches or follows it.

    Args:
        stages: The stages of the run.
        source: Its inputs, of which ``len()`` gives the total where they have a length.
        watching: What the caller wants to watch.
        to_all: The Observable that emits the events of all stages.
        to_each: For each stage, an Observable that emits the events of that stage.
        run: The subscription, whose end is then reported.
        instrument: Follows the subscription.
    """
    loop = asyncio.get_running_loop()
    report = partial(report_error, loop)
    guards = [] if watching.trace is None else [Guard(watching.trace, report)]
    common: list[Emit] = [guard.on_event for guard in guards]
    if to_all is not None and to_all.observed:
        common.append(to_all.make_emit(report))
    sinks: list[list[Emit]] = [
        [*common, own.make_emit(report)]
        if own is not None and own is not to_all and own.observed
        else common
        for own in to_each or [None] * len(stages)
    ]
    meter_readers = find_readers(to_all, *to_each)
    is_metered = bool(meter_readers or watching.progress)
    if not (any(sinks) or instrument or readers or is_metered):
        return None
    info = RunInfo(next(_numbers), tuple(stages), _find_length(source))
    follower = None
    if run is not None and instrument is not None:
        follower = instrument.follow_run(info, run.context)
        run.context.run(around.set, instrument)
    stage_followers: Sequence[StageFollower | None] = (
        [None] * len(stages) if follower is None else follower.stages
    )
    meters: Sequence[StageMeter | None] = [None] * len(stages)
    if is_metered:
        meter = RunMeter(info, meter_readers, run)
        guards += [Guard(each, report) for each in (meter, *_make_bars(meter, watching))]
        meters = meter.stages
    for guard in guards:
        guard.on_begin(info)
    log = None if watching.trace is None or follower is not None else guards[0].log
    is_known = follower is not None or bool(readers)
    reports: list[StageReporter] = []
    for position, (sink, stage_follower, stage_meter) in enumerate(
        zip(sinks, stage_followers, meters, strict=True)
    ):
        only_log = log if len(sink) == 1 else None
        only_meter = None if only_log is None and (sink or is_known) else stage_meter
        emit = _combine(sink if stage_meter is None else [*sink, stage_meter.on_event])
        reports.append(
            StageReporter(loop, info, position, emit, stage_follower, only_meter, only_log)
        )
    reporter = RunReporter(info, guards, reports, follower)
    if run is not None:
        reporter.end_with(run)
    return reporter


def _make_bars(meter: RunMeter, watching: WatchOptions) -> Sequence[Watcher]:
    """Make the bars of a run, if it is to have some."""
    if not watching.progress:
        return ()
    from .progress import ProgressBars

    return (ProgressBars(meter, always=watching.progress == "always"),)


def _find_length(source: object) -> int | None:
    if not isinstance(source, Sized):
        return None
    try:
        return len(source)
    except Exception:  # a source whose len() raises may still be iterated
        return None


def _combine(sinks: Sequence[Emit]) -> Emit:
    if not sinks:
        return do_nothing
    if len(sinks) == 1:
        return sinks[0]

    def emit(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return emit
