"""Policies under cancellation: wherever it comes, no task is left and no permit is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    DynamicBatchProcessor,
    FunctionNode,
    MapNode,
    ParallelNode,
)
from nadoo_flow.nodes.node import Policy
from nadoo_flow.policies import cache, fallback, limit, rate_limit, retry, timeout

from ..stand_ins import assert_only_the_caller_runs, now, raised_by

CLEAN_UP = 0.5
"""Seconds that a call takes to end after it was cancelled."""


class Calls:
    """A function that awaits several times, and fails at its first call for an item.

    Attributes:
        running: Calls that have not ended.
        cleaned: Calls that were cancelled, and cleaned up to the end.
        broken_off: Calls that were cancelled again while they cleaned up.
    """

    def __init__(self) -> None:
        self.running = 0
        self.cleaned = 0
        self.broken_off = 0
        self._seen: set[int] = set()

    async def __call__(self, item: int) -> int:
        self.running += 1
        try:
            await self._work(item)
        except asyncio.CancelledError:
            self.broken_off += 1
            await asyncio.sleep(CLEAN_UP)
            await asyncio.sleep(0)
            self.broken_off -= 1
            self.cleaned += 1
            raise
        finally:
            self.running -= 1
        return item

    async def _work(self, item: int) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        if item not in self._seen:
            self._seen.add(item)
            raise ValueError("not yet")
        # Over the limit of the timeouts below, for some.
        await asyncio.sleep(item)


class Stack(NamedTuple):
    """Policies, and the limits among them, which must not stay in use."""

    policies: tuple[Policy, ...]
    limits: tuple[ConcurrencyLimit, ...] = ()


def _other(item: int) -> Any:
    return asyncio.sleep(1, item)


def _limited(shared: ConcurrencyLimit, *around: Policy) -> Stack:
    return Stack((limit(shared), *around), (shared,))


def _recommended() -> Stack:
    shared = ConcurrencyLimit(1)
    return Stack(
        (timeout(1), rate_limit(2), limit(shared), retry(2, wait=0.5), fallback(_other)), (shared,)
    )


STACKS: dict[str, Callable[[], Stack]] = {
    "retry": lambda: Stack((retry(3, wait=1),)),
    "timeout": lambda: Stack((timeout(1),)),
    "timeout, retry": lambda: Stack((timeout(1), retry(3, wait=1))),
    "retry, timeout": lambda: Stack((retry(3, wait=1), timeout(2))),
    "rate_limit": lambda: Stack((rate_limit(1),)),
    "limit": lambda: _limited(ConcurrencyLimit(1)),
    "limit, timeout, retry": lambda: _limited(ConcurrencyLimit(1), timeout(1.5), retry(2, wait=0)),
    "adaptive limit": lambda: _limited(AdaptiveLimit(2)),
    "fallback": lambda: Stack((fallback(_other),)),
    "cache": lambda: Stack((cache(),)),
    "limit, cache, retry": lambda: _limited(ConcurrencyLimit(1), cache(), retry(2, wait=0)),
    "recommended": _recommended,
}

Run = Callable[[BaseNode], Any]
RUNS: dict[str, Run] = {
    "batch": lambda node: BatchProcessor(node, 2).batch([1, 2, 0]),
    "dynamic": lambda node: DynamicBatchProcessor(node).process([1, 2, 0]),
    "map in batch": lambda node: BatchProcessor(MapNode("map", node), 2).batch(
        [{"items": [1, 2]}, {"items": [0]}]
    ),
    "parallel": lambda node: BatchProcessor(ParallelNode([node, _other]), 2).batch([1, 2, 0]),
}

INSTANTS = [quarter / 4 for quarter in range(9)]
TURNS = 5


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("isolate", ["context", "task"])
@pytest.mark.parametrize("make", STACKS.values(), ids=STACKS)
async def test_a_cancel_at_any_await_leaves_no_task_and_no_permit(
    make: Callable[[], Stack], isolate: Any, run: Run
) -> None:
    cleaned = 0
    for seconds in INSTANTS:
        for turns in range(TURNS):
            calls, stack = Calls(), make()
            node = FunctionNode(calls, "calls")
            node.isolate = isolate
            task = asyncio.create_task(run(node.pipe(*stack.policies)))
            await asyncio.sleep(seconds)
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.done():
                break
            cancelled_at = now()
            task.cancel()
            error = await raised_by(task)
            assert isinstance(error, asyncio.CancelledError), (seconds, turns)
            assert now() <= cancelled_at + CLEAN_UP + 1e-6, (seconds, turns)
            assert (calls.running, calls.broken_off) == (0, 0), (seconds, turns)
            cleaned += calls.cleaned
            assert [shared.in_use for shared in stack.limits] == [0] * len(stack.limits)
            assert_only_the_caller_runs()
    assert cleaned > 10


@pytest.mark.parametrize("make", STACKS.values(), ids=STACKS)
async def test_policies_work_on_after_a_cancel(make: Callable[[], Stack]) -> None:
    stack = make()
    node = FunctionNode(lambda item: asyncio.sleep(0.1, item)).pipe(*stack.policies)
    for turns in range(20):
        task = asyncio.create_task(BatchProcessor(node).batch(range(5)))
        await asyncio.sleep(0.05 * turns)
        task.cancel()
        await asyncio.wait([task])
    results = await BatchProcessor(node).batch(range(5))
    assert [result.output for result in results] == list(range(5))
