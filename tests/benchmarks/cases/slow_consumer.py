"""What piles up before a consumer that is slower than the node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from ..model import Case, Outcome, Params, Run, as_measured
from ..nodes import Input, expected_total, make_node
from ..shapes import StreamWay
from ..ways import STREAMS, contestants


def _prepare(way: StreamWay, params: Params) -> Run:
    stream = way(make_node("yield"), params["concurrency"])

    async def once() -> Outcome:
        pulled = taken = total = ahead = 0

        def inputs() -> Iterator[Input]:
            nonlocal pulled
            for n in range(params["n"]):
                pulled += 1
                yield {"n": n}

        async with stream.open(inputs()) as results:
            async for result in results:
                ahead = max(ahead, pulled - taken)
                taken += 1
                total += stream.output(result)
                await asyncio.sleep(0.001)
        return Outcome((taken, total), ahead)

    return once


CASES = (
    Case(
        module=__name__,
        name="slow-consumer",
        title="Inputs pulled ahead of a consumer that takes 1 ms for each result, at most",
        unit="inputs",
        variants=({"n": 1_000, "concurrency": 10},),
        contestants=contestants(STREAMS, _prepare),
        expected=expected_total,
        figure=as_measured,
        steady=False,
        over="nothing",
    ),
)
