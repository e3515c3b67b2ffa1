"""What it costs to watch a run, and what it costs that one could."""

from __future__ import annotations

import statistics
from functools import partial

from .._worker import agreed
from ..model import Case, Contestant, Outcome, Params, Run, as_measured
from ..nodes import expected_total, inputs, make_work
from ..timed_batch import time_batch
from ..watchers import WATCHERS, Make, left, plain

TURNS = 5
"""How often the run that is watched and the one that is not follow each other, and both again."""


def _prepare(make: Make, params: Params) -> Run:
    work, given = make_work(params["node"]), inputs(params["n"])
    answers: list[list[int]] = []

    async def timed(make: Make) -> float:
        return await time_batch(make(work, params["concurrency"]), given, answers)

    async def once() -> Outcome:
        # Neighbours in time, so that a change of the machine's pace hits both, in either order.
        pairs = []
        for _ in range(TURNS):
            first = await timed(plain), await timed(make)
            second = await timed(make), await timed(plain)
            pairs += [first, second[::-1]]
        ratio = statistics.median(more / less for less, more in pairs)
        added = (ratio - 1) * statistics.median(less for less, _ in pairs) / params["n"] * 1e6
        return Outcome(agreed(answers), added, f"{ratio:.2f}x")

    return once


def watched_by(name: str) -> str:
    """Name the contestant whose run has one of the watchers."""
    return f"nadoo-flow, {name}"


def _contestant(name: str, make: Make) -> Contestant:
    return Contestant(watched_by(name), partial(_prepare, make))


CASES = (
    Case(
        module=__name__,
        name="watching",
        title="Processor time that watching adds to an item, measured in turns",
        unit="us/item",
        variants=tuple(
            {"n": 20_000, "concurrency": 10, "node": node} for node in ("sync-function", "yield")
        ),
        contestants=(
            _contestant("a subscriber that has left", left),
            *(_contestant(name, make) for name, make in WATCHERS.items()),
        ),
        expected=expected_total,
        figure=as_measured,
        steady=False,
        over="nothing",
    ),
)
