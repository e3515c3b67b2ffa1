"""Whether all slots stay busy: how long a run takes over what its latencies allow."""

from __future__ import annotations

import heapq
import random

from ..model import Case, Measured, Params, Run
from ..nodes import expected_total, make_node
from ..shapes import Way, over
from ..ways import NODE_WAYS, contestants


def latencies(params: Params) -> list[float]:
    """Return the seconds that each item takes: 10 ms, or 10 ms on average with a long tail."""
    if params["latency"] == "constant":
        return [0.01] * params["n"]
    numbers = random.Random(1)
    return [min(0.005 * numbers.lognormvariate(0, 1.2), 0.5) for _ in range(params["n"])]


def ideal(params: Params) -> float:
    """Return the seconds of a run without any cost, in which each free slot takes the next item."""
    free_at = [0.0] * params["concurrency"]
    for seconds in latencies(params):
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


def _over_ideal(measured: Measured, params: Params) -> float:
    return measured.value / ideal(params)


def _prepare(way: Way, params: Params) -> Run:
    run = way(make_node("sleep"), params["concurrency"])
    given = [{"n": n, "seconds": seconds} for n, seconds in enumerate(latencies(params))]
    return over(run, given)


CASES = (
    Case(
        module=__name__,
        name="utilisation",
        title="Makespan over the ideal one, nodes sleep 10 ms on average",
        unit="x ideal",
        variants=tuple(
            {"n": 10_000, "concurrency": 100, "latency": latency}
            for latency in ("constant", "heavy-tailed")
        ),
        contestants=contestants(NODE_WAYS, _prepare),
        expected=expected_total,
        figure=_over_ideal,
    ),
)
