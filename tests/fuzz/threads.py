"""Policies that many threads, each with a loop of its own, use for the first time at once."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from nadoo_flow import BaseNode, BatchProcessor, FunctionNode
from nadoo_flow.policies import rate_limit
from nadoo_flow.testing import VirtualTimeLoop

from .case import Batch, Case, Policy
from .ledger import Ledger

THREADS = 12

ROUNDS = 8
"""Policies that are used for the first time, one after the other."""


def findings_in_threads(case: Case) -> list[str]:
    """Run a rate-limited batch in each of many threads, and check the starts in each."""
    assert isinstance(case.what, Batch)
    assert isinstance(case.what.work, Policy)
    ledger, rate, length = Ledger(), case.what.work.number, case.source.length or 0
    policies = [rate_limit(rate) for _ in range(ROUNDS)]
    together = threading.Barrier(THREADS)

    async def work(limit: int) -> None:
        for policy in policies:
            await use(policy, limit)

    async def use(policy: Callable[[FunctionNode], BaseNode], limit: int) -> None:
        starts: list[float] = []

        async def note(_: int) -> None:
            starts.append(asyncio.get_running_loop().time())

        node: BaseNode = policy(FunctionNode(note))
        together.wait(10)
        results = await BatchProcessor(node, limit).batch(range(length))
        for result in results:
            if not result.success:
                ledger.find(f"an item failed that should not: {result.error}")
        gaps = [after - before for before, after in pairwise(starts)]
        if gaps and min(gaps) < 1 / rate:
            ledger.find(f"starts are {min(gaps):g} s apart, at {rate:g} a second")

    def in_loop(limit: int) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(work(limit))

    threads = [threading.Thread(target=in_loop, args=(case.what.limit,)) for _ in range(THREADS)]
    with _switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    if any(thread.is_alive() for thread in threads):
        ledger.find("a thread is stuck")
    return ledger.findings


@contextmanager
def _switching_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
