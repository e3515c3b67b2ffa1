"""How long a run keeps the rest of the application waiting.

With the garbage collector on, the longest lags are its pauses, which grow with the results that the
caller keeps; with it off, they show what the run itself does.
"""

from __future__ import annotations

import asyncio
import gc
from math import ceil
from time import perf_counter

from ..model import Case, Outcome, Params, Run, milliseconds
from ..nodes import expected_total, inputs, make_node
from ..shapes import Way
from ..ways import NODE_WAYS, contestants

PERIOD = 0.001


async def _beat(lags: list[float]) -> None:
    while True:
        expected = perf_counter() + PERIOD
        await asyncio.sleep(PERIOD)
        lags.append(perf_counter() - expected)


def _prepare(way: Way, params: Params) -> Run:
    run = way(make_node("compute"), params["concurrency"])
    given = inputs(params["n"])

    async def once() -> Outcome:
        lags: list[float] = []
        heart = asyncio.create_task(_beat(lags))
        await asyncio.sleep(0)
        try:
            if not params["collector"]:
                gc.disable()
            answer = await run(given)
        finally:
            gc.enable()
        while not lags:  # noqa: ASYNC110  # a run that lets nobody in is seen after its end
            await asyncio.sleep(0)
        heart.cancel()
        lags.sort()
        return Outcome(answer, lags[ceil(0.99 * len(lags)) - 1], f"{len(lags)} beats")

    return once


CASES = (
    Case(
        module=__name__,
        name="heartbeat",
        title="Lag of a 1 ms heartbeat (99th percentile) beside nodes that never suspend",
        unit="ms",
        variants=tuple(
            {"n": 100_000, "concurrency": 10, "collector": collector} for collector in (True, False)
        ),
        contestants=contestants(NODE_WAYS, _prepare),
        expected=expected_total,
        figure=milliseconds,
        steady=False,
    ),
)
