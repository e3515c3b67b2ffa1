"""Runs in which all items are in work at the same time: what they take, and whom they keep waiting.

The baseline is what a user would write: ``asyncio.gather`` over a coroutine an item.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial
from time import thread_time
from typing import TypeAlias

from ..model import Case, Contestant, Outcome, Params, Run, as_measured, milliseconds

OURS_WIDE = "nadoo-flow, batch"
GATHER = "asyncio.gather"

SECONDS = 0.5
"""What each item waits for."""

Wide: TypeAlias = Callable[[Callable[[int], Awaitable[int]], int], Awaitable[list[int]]]


async def _ours(work: Callable[[int], Awaitable[int]], n: int) -> list[int]:
    from nadoo_flow import BatchProcessor

    results = await BatchProcessor(work, max_concurrency=n).batch(range(n))
    return [result.output for result in results]


async def _gather(work: Callable[[int], Awaitable[int]], n: int) -> list[int]:
    return await asyncio.gather(*(work(number) for number in range(n)))


async def _work(number: int) -> int:
    await asyncio.sleep(SECONDS)
    return number + 1


def _prepare(wide: Wide, params: Params) -> Run:
    async def once() -> Outcome:
        return Outcome(sum(await wide(_work, params["n"])))

    return once


def _prepare_with_heart(wide: Wide, params: Params) -> Run:
    async def once() -> Outcome:
        turns: list[float] = []
        gc.disable()
        heart = asyncio.create_task(_beat(turns))
        try:
            answer = sum(await wide(_work, params["n"]))
        finally:
            heart.cancel()
            gc.enable()
        return Outcome(answer, max(turns), f"{len(turns)} turns")

    return once


async def _beat(turns: list[float]) -> None:
    """Time each turn of the loop by the clock of its thread, without other programs."""
    before = thread_time()
    while True:
        await asyncio.sleep(0)
        now = thread_time()
        turns.append(now - before)
        before = now


def _expected(params: Params) -> int:
    n: int = params["n"]
    return n * (n + 1) // 2


def _contestants(prepare: Callable[[Wide, Params], Run]) -> tuple[Contestant, ...]:
    ways: dict[str, Wide] = {OURS_WIDE: _ours, GATHER: _gather}
    return tuple(Contestant(name, partial(prepare, wide)) for name, wide in ways.items())


CASES = (
    Case(
        module=__name__,
        name="wide",
        title="All items at once, each waits for half a second",
        unit="s",
        variants=tuple({"n": n} for n in (1_000, 10_000, 30_000, 100_000)),
        contestants=_contestants(_prepare),
        expected=_expected,
        figure=as_measured,
        steady=False,
    ),
    Case(
        module=__name__,
        name="wide-heartbeat",
        title="Longest turn of the loop while all items are in work at once, collector off",
        unit="ms",
        variants=tuple({"n": n} for n in (1_000, 10_000, 30_000, 100_000)),
        contestants=_contestants(_prepare_with_heart),
        expected=_expected,
        figure=milliseconds,
        steady=False,
    ),
)
