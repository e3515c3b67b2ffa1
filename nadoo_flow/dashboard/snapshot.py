"""Snapshots: what a page shows at one moment, as values for JSON.

All texts are cut and freed of control characters, since nodes and their errors may hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate, islice
from typing import Any, TypeAlias

from .._support.text import shorten
from ..events import BOUNDS, RunMeter, StageMeter
from ..nodes.node import BaseNode
from .boards import Board, ShownRun
from .gauges import find_gauges
from .history import Point

Snapshot: TypeAlias = dict[str, Any]

MOST_RUNS = 12
"""Runs at work that are shown; further ones are only counted."""

MOST_ITEMS = 24
"""Items in work that are shown of a stage, the oldest ones."""

MOST_FAILURES = 10
MOST_AMOUNTS = 8


def take_snapshot(boards: Sequence[Board], name: str, *, control: bool) -> Snapshot:
    """Take a snapshot of all boards, in which runs that have ended are only named by number."""
    described = [_describe_board(board) for board in boards]
    return {"name": shorten(name, 80), "control": control, "boards": described}


def describe_ended(boards: Sequence[Board]) -> dict[int, Callable[[], Snapshot]]:
    """Return what describes each run that has ended, by number; these change no more."""
    ended = [run for board in boards for run in board.list_runs()[1]]
    return {run.meter.info.number: partial(_describe_run, run) for run in ended}


def _describe_board(board: Board) -> Snapshot:
    running, ended = board.list_runs()
    node = board.node
    return {
        "name": shorten(node.node_id, 80),
        "parts": _describe_parts(node),
        "gauges": [_describe_gauge(gauge) for gauge in find_gauges(node)],
        "running": [_describe_run(run) for run in running[:MOST_RUNS]],
        "ended": [run.meter.info.number for run in ended],
        "more": max(len(running) - MOST_RUNS, 0),
    }


def _describe_parts(node: BaseNode) -> list[Snapshot]:
    try:
        parts = node._describe_parts()
    except Exception:  # a node of the user's may describe itself
        parts = ()
    return [
        {
            "caption": shorten(part.caption, 120),
            "choice": part.is_choice,
            "boxes": [
                {"name": shorten(box.name, 60), "about": shorten(box.build_subtitle(), 120)}
                for box in part.boxes
            ],
        }
        for part in parts
    ]


def _describe_gauge(gauge: Any) -> Snapshot:
    reading = gauge.read()
    return {
        **reading._asdict(),
        "error": None if reading.error is None else shorten(reading.error, 200),
        "nodes": [shorten(name, 40) for name in gauge.nodes[:4]],
    }


def _describe_run(shown: ShownRun) -> Snapshot:
    meter, history = shown.meter, shown.history
    end = meter.time() if meter.ended is None else meter.ended
    seconds = end - meter.began
    done = _count_done(meter)
    failed = sum(stage.failed for stage in meter.stages)
    history.add(Point(seconds, done, failed))
    total = None if meter.info.stages[0].renumbers else meter.info.total
    state = meter.end or _describe_state(meter)
    rate = history.compute_rate() if meter.ended is None else done / seconds if seconds else 0.0
    left = None if total is None or meter.ended is not None else max(total - done, 0)
    return {
        "number": meter.info.number,
        "state": state,
        "controlled": meter.run is not None,
        "seconds": seconds,
        "total": total,
        "done": done,
        "rate": rate,
        "eta": left / rate if left is not None and rate > 0 else None,
        "history": [(round(point[0], 3), *point[1:]) for point in history.points],
        "stages": [_describe_stage(stage, end) for stage in meter.stages],
        "failures": _describe_failures(meter),
    }


def _count_done(meter: RunMeter) -> int:
    """Count the inputs of a run with which nothing more happens.

    Where a stage makes other items of its own, those that the first stage has done with.
    """
    if any(stage.info.renumbers for stage in meter.stages[1:]):
        return meter.stages[0].ended
    *before, last = meter.stages
    return last.ended + sum(stage.ended - stage.finished for stage in before)


def _describe_state(meter: RunMeter) -> str:
    run = meter.run  # which is gone when the run has ended meanwhile, in another thread
    return "draining" if run is not None and run.draining.has_begun else "running"


def _describe_stage(stage: StageMeter, now: float) -> Snapshot:
    counts = list(stage.latencies)
    in_work = _copy_in_work(stage)
    return {
        "name": shorten(stage.info.stage, 80),
        "most": stage.info.max_concurrency,
        "in_work": len(stage.in_work),
        "items": [(index, round(max(now - started, 0.0), 6)) for index, started in in_work],
        "finished": stage.finished,
        "failed": stage.failed,
        "dropped": stage.dropped,
        "overflowed": stage.overflowed,
        "cancelled": stage.cancelled,
        "retried": stage.retried,
        "usage": _describe_usage(stage.count.usage),
        "latencies": [(at, count) for at, count in enumerate(counts) if count],
        "percentiles": [_find_percentile(counts, percent) for percent in (50, 95, 99)],
    }


def _copy_in_work(stage: StageMeter) -> list[tuple[int, float]]:
    """Copy the oldest items in work, which may change in another thread meanwhile."""
    for _ in range(5):
        try:
            return list(islice(stage.in_work.items(), MOST_ITEMS))
        except RuntimeError:  # the size changed during iteration
            continue
    return []


def _find_percentile(counts: Sequence[int], percent: float) -> float | None:
    """Return the upper bound of the class of latencies that so many percent do not exceed."""
    left = sum(counts) * percent / 100
    if not left:
        return None
    below = [total < left for total in accumulate(counts)]
    return BOUNDS[min(sum(below), len(BOUNDS) - 1)]


def _describe_usage(usage: Mapping[Any, float]) -> list[tuple[str, float | None]]:
    amounts = list(usage.copy().items()) if isinstance(usage, dict) else []
    return [(shorten(name, 30), _as_number(amount)) for name, amount in amounts[:MOST_AMOUNTS]]


def _as_number(amount: float) -> float | None:
    """Return what JSON can hold of a sum of numbers of the user's."""
    try:
        number = float(amount)
    except (OverflowError, ValueError, TypeError):
        return None
    return number if math.isfinite(number) else None


def _describe_failures(meter: RunMeter) -> list[Snapshot]:
    """Describe the latest failures of all stages, the latest first."""
    failures = [
        (failure, stage.info.stage) for stage in meter.stages for failure in tuple(stage.failures)
    ]
    failures.sort(key=lambda each: each[0].time, reverse=True)
    return [
        {
            "stage": shorten(stage, 40),
            "index": failure.index,
            "error": shorten(failure.error, 240),
            "seconds": failure.time - meter.began,
        }
        for failure, stage in failures[:MOST_FAILURES]
    ]
