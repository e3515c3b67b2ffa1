"""The bottleneck of a run, described in a sentence."""

from __future__ import annotations

from .._support.text import format_count, shorten
from .history import History, Line

BUSY = 0.75
"""The share of time from which on a stage, if its slots are at work for it, is a bottleneck."""


def describe_bottleneck(history: History) -> str:
    """Describe which stage held up the others, or what else the run waited for."""
    lines = [line for line in history.lines if line.visits]
    if not lines:
        return "Nothing was recorded."
    busy = {place: compute_busy_share(history, line) for place, line in enumerate(lines)}
    most = max(busy, key=lambda place: busy[place])
    info = lines[most].info
    name, slots = f"'{shorten(info.stage, 28)}'", format_count(info.max_concurrency, "slot")
    share = f"{busy[most]:.0%}"
    if busy[most] >= BUSY:
        verb = "was" if info.max_concurrency == 1 else "were"
        others = [part for place, part in busy.items() if place != most]
        least = f", those of the other stages at most {max(others):.0%}" if others else ""
        return f"Bottleneck: {name}. Its {slots} {verb} at work {share} of the time{least}."
    words = f"No stage was a bottleneck: {name}, the busiest, was at work {share} of the time."
    started = max(visit.start for line in lines for visit in line.visits)
    tail = 1 - started / history.span if history.span else 0.0
    if tail >= 0.25:
        return f"{words} For {tail:.0%} of it, at the end, nothing was left to start."
    return f"{words} It waited for inputs, or for results to be taken."


def compute_busy_share(history: History, line: Line) -> float:
    """Return the share of the time of their runs in which the slots of a stage were at work."""
    at_work = sum(visit.end - visit.start for visit in line.visits)
    lasted = sum(history.get_duration(run) for run in {visit.run for visit in line.visits})
    return min(at_work / (line.info.max_concurrency * lasted), 1.0) if lasted else 0.0
