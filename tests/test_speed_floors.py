"""Floors under the speed, so that a change which makes the engine slow does not pass unseen.

A test must not look at the clock: what it sees depends on the machine. These few do, on a real
event loop, because speed is what they are about. So that a slow or busy machine cannot fail them
they count the processor's time, compare with a bare worker pool in the same process, take the
best of several turns of each, and leave much room. What the speed really is,
``python -m tests.benchmarks`` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import process_time
from typing import Any

import pytest

from .benchmarks._worker import peak, reset_peak
from .benchmarks.nodes import Input, expected_total, make_work
from .benchmarks.shapes import Way, collected, folded
from .benchmarks.ways import bare_pool, ours_as_completed, ours_batch, own_pool

pytestmark = [pytest.mark.floor, pytest.mark.slow]

OURS = {"batch": collected(ours_batch), "batch_as_completed": folded(ours_as_completed)}
TURNS = 7


def alone(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Measure in a fresh process, where no coverage tool slows down our code but not the pool's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


async def timed(way: Way, node: str, n: int) -> float:
    run = way(make_work(node), 10)
    inputs: Iterable[Input] = ({"n": number} for number in range(n))
    started = process_time()
    total = await run(inputs)
    seconds = process_time() - started
    assert list(total) == expected_total({"n": n})
    return seconds


def seconds_of(
    ways: dict[str, Way], node: str, sizes: Iterable[int]
) -> dict[tuple[str, int], float]:
    """Return the best seconds of each way at each size, measured in turns."""

    async def turns() -> dict[tuple[str, int], float]:
        keys = [(name, n) for name in ways for n in sizes]
        seconds = [[await timed(ways[name], node, n) for name, n in keys] for _ in range(TURNS)]
        return dict(zip(keys, map(min, zip(*seconds, strict=True)), strict=True))

    return asyncio.run(turns())


def over_the_pool(pool: Way, node: str) -> dict[str, float]:
    n = 5_000
    best = seconds_of({"pool": pool, **OURS}, node, [n])
    return {name: best[name, n] / best["pool", n] for name in OURS}


def growth() -> float:
    """Return the cost of an item among 100,000 over that among 10,000."""
    best = seconds_of({"ours": OURS["batch_as_completed"]}, "yield", [10_000, 100_000])
    return best["ours", 100_000] / best["ours", 10_000] / 10


def memory() -> float:
    """Return the MB that 100,000 lazy inputs need above what 10,000 need."""

    async def peaks() -> list[float]:
        found = []
        for n in (10_000, 100_000):
            before = reset_peak()
            await timed(OURS["batch_as_completed"], "yield", n)
            found.append(peak() - before)
        return found

    few, many = asyncio.run(peaks())
    return many - few


@pytest.mark.parametrize(
    ("pool", "node", "most"),
    [(own_pool, "function", 3.7), (bare_pool, "yield", 3.0), (bare_pool, "plain", 6.5)],
    ids=["function", "node class", "node class that never suspends"],
)
def test_an_item_costs_few_times_what_it_costs_in_a_pool(pool: Way, node: str, most: float) -> None:
    ratios = alone(over_the_pool, pool, node)
    assert {name: ratio for name, ratio in ratios.items() if ratio > most} == {}


def test_an_item_does_not_cost_more_among_many() -> None:
    assert alone(growth) < 1.25


def test_memory_does_not_grow_with_lazy_inputs() -> None:
    assert alone(memory) < 2
