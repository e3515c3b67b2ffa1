"""Ways to run a node or a function over many inputs: ours, what a user would write, the peers'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .model import Contestant, Params, Peer, Run
from .nodes import Input, Total
from .peer_ways import (
    aiometer_amap,
    aiostream_map,
    core_as_completed,
    core_batch,
    gather,
    langchain_abatch,
    langchain_as_completed,
    reactivex_merge,
)
from .peers import AIOMETER, AIOSTREAM, LANGCHAIN, NADOO_FLOW_CORE, REACTIVEX
from .shapes import Inputs, Listing, ListWay, Stream, StreamWay, Way, collected, folded


def ours_as_completed(work: Any, concurrency: int) -> Stream:
    from nadoo_flow import BatchProcessor

    return Stream(BatchProcessor(work, concurrency).batch_as_completed)


def ours_batch(work: Any, concurrency: int) -> Listing:
    from nadoo_flow import BatchProcessor

    return Listing(BatchProcessor(work, concurrency).batch)


def own_pool(
    function: Callable[[Input], Any], concurrency: int
) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    """Return the pool that a user would write: tasks that call the function, on one iterator."""

    async def run(inputs: Inputs) -> Total:
        items, outputs = iter(inputs), []

        async def worker() -> None:
            for data in items:
                outputs.append(await function(data))

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
        return len(outputs), sum(outputs)

    return run


def for_loop(
    function: Callable[[Input], Any], concurrency: int
) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    """Return what a user would write for a function that never waits."""

    async def run(inputs: Inputs) -> Total:
        outputs = [function(data) for data in inputs]
        return len(outputs), sum(outputs)

    return run


def bare_pool(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    """Return the least that a node class needs: tasks on one iterator, and nothing else."""
    from nadoo_flow import NodeContext, WorkflowContext

    async def run(inputs: Inputs) -> Total:
        items, shared, execute = iter(inputs), WorkflowContext(), node.execute
        count = total = 0

        async def worker() -> None:
            nonlocal count, total
            for data in items:
                result = await execute(NodeContext(data), shared)
                count += 1
                total += result.output

        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return count, total

    return run


OURS_BATCH = "nadoo-flow batch"
OURS = "nadoo-flow batch_as_completed"
OWN = "the user's own pool"
LOOP = "a for loop"
BARE = "bare asyncio pool that executes our node"
CORE_BATCH = "nadoo-flow-core batch"
CORE = "nadoo-flow-core batch_as_completed"
RX = "reactivex merge(max_concurrent)"
LANGCHAIN_ABATCH = "LangChain abatch"

STREAMS: dict[str, tuple[Peer | None, StreamWay]] = {
    OURS: (None, ours_as_completed),
    CORE: (NADOO_FLOW_CORE, core_as_completed),
    "aiometer amap": (AIOMETER, aiometer_amap),
    "aiostream map(task_limit)": (AIOSTREAM, aiostream_map),
    "LangChain abatch_as_completed": (LANGCHAIN, langchain_as_completed),
}

LISTS: dict[str, tuple[Peer | None, ListWay]] = {
    OURS_BATCH: (None, ours_batch),
    CORE_BATCH: (NADOO_FLOW_CORE, core_batch),
    "asyncio.gather + Semaphore": (None, gather),
    LANGCHAIN_ABATCH: (LANGCHAIN, langchain_abatch),
}

_ALL: dict[str, tuple[Peer | None, Way]] = {
    **{name: (peer, collected(make)) for name, (peer, make) in LISTS.items()},
    **{name: (peer, folded(make)) for name, (peer, make) in STREAMS.items()},
    RX: (REACTIVEX, reactivex_merge),
}

NODE_WAYS = {**_ALL, BARE: (None, bare_pool)}
FUNCTION_WAYS = {**_ALL, OWN: (None, own_pool)}
SYNC_WAYS = {**_ALL, LOOP: (None, for_loop)}


def contestants(
    ways: dict[str, tuple[Peer | None, Any]],
    prepare: Callable[[Any, Params], Run],
    first: str | None = None,
) -> tuple[Contestant, ...]:
    """Make a contestant of each way.

    Args:
        ways: One of the tables above.
        prepare: Makes a run of a way, for one variant of a case.
        first: The contestant that the others are related to; the first of the ways by default.
    """
    names = sorted(ways, key=lambda name: name != first)
    return tuple(Contestant(name, partial(prepare, ways[name][1]), ways[name][0]) for name in names)
