"""How long a consumer waits for the first of many results."""

from __future__ import annotations

from time import perf_counter

from ..model import Case, Outcome, Params, Run, milliseconds
from ..nodes import inputs, make_node
from ..shapes import StreamWay
from ..ways import STREAMS, contestants


def _prepare(way: StreamWay, params: Params) -> Run:
    stream = way(make_node("yield"), params["concurrency"])
    given = inputs(params["n"])

    async def once() -> Outcome:
        started = perf_counter()
        async with stream.open(given) as results:
            first = stream.output(await anext(aiter(results)))
            seconds = perf_counter() - started
        return Outcome(first in range(1, params["n"] + 1), seconds)

    return once


CASES = (
    Case(
        module=__name__,
        name="first-result",
        title="Time to the first result, node suspends once",
        unit="ms",
        variants=tuple({"n": n, "concurrency": 10} for n in (1_000, 10_000, 100_000)),
        contestants=contestants(STREAMS, _prepare),
        expected=lambda params: True,
        figure=milliseconds,
        steady=False,
    ),
)
