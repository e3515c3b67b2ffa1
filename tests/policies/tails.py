"""A service with a long tail of latencies, in simulation."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow._support.percentile import compute_percentile
from nadoo_flow.nodes.node import Policy

ITEMS = 5_000
SLOW = 0.02
TIMES = 50


@dataclass(frozen=True)
class Tail:
    """What 5,000 inputs, 20 at a time, took.

    Attributes:
        p50: Half of them took at most so many seconds each.
        p99: 99% of them did.
        calls: How often the service was called.
    """

    p50: float
    p99: float
    calls: int


async def measure_tail(*policies: Policy) -> Tail:
    """Call a service that answers in about a second, and 2% of the time in 50 times that."""
    chance, calls = random.Random(7), 0

    async def service(number: int) -> None:
        nonlocal calls
        calls += 1
        seconds = chance.uniform(0.5, 1.5)
        await asyncio.sleep(seconds * TIMES if chance.random() < SLOW else seconds)

    results = await BatchProcessor(FunctionNode(service).pipe(*policies), 20).batch(range(ITEMS))
    times = sorted(result.execution_time or 0.0 for result in results)
    p50, p99 = compute_percentile(times, 50), compute_percentile(times, 99)
    assert p50 is not None
    assert p99 is not None
    return Tail(p50, p99, calls)
