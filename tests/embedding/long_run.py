"""Runs over sources that never end, and what they take from the machine as time goes by.

Usage: ``python -m tests.embedding.long_run PIPELINE EVENTS``
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, TypeAlias

import psutil
from reactivex import Subject
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    ConcurrencyLimit,
    FilterNode,
    FunctionNode,
    MapNode,
    OperatorNode,
    OverflowStrategy,
)
from nadoo_flow.policies import limit, retry, timeout

WARM_UP = 50_000
"""Events before the first look."""
EVERY = 10_000
"""Events from one look to the next."""

Pipeline: TypeAlias = Callable[[], AsyncGenerator[object, None]]


@dataclass
class Usage:
    """What a run took from the machine after its warm-up.

    Attributes:
        events: Events that went through it.
        tasks: The counts of tasks that were seen.
        files: The counts of open files that were seen.
        grown_mb: Megabytes of memory (RSS) more than after the warm-up, at most.
        grown_blocks: Allocated blocks at the end more than after the warm-up.
    """

    events: int = 0
    tasks: set[int] = field(default_factory=set)
    files: set[int] = field(default_factory=set)
    grown_mb: float = 0.0
    grown_blocks: int = 0


async def event(number: int) -> dict[str, Any]:
    """Make an event of a number, slowly enough to be overtaken."""
    for _ in range(number % 3 + 1):
        await asyncio.sleep(0)
    if number % 1_000 == 7:
        raise ValueError(f"event {number} is broken")
    return {"number": number, "text": f"event {number}"}


async def numbers() -> AsyncGenerator[int, None]:
    """Give the numbers from 0."""
    for number in count():
        yield number


def chain() -> Any:
    """Make a chain of stages that keep, drop and regroup."""
    return (
        MapNode("map", event, "in", "events", continue_on_error=True)
        | FilterNode("filter", lambda event: event["number"] % 10, "events", "kept")
        | OperatorNode(ops.pairwise(), input_key="kept", output_key="pairs")
    )


async def streamed() -> AsyncGenerator[object, None]:
    """Iterate over the outputs of a chain."""
    async with chain().stream(numbers(), ordered=True) as outputs:
        async for output in outputs:
            yield output


async def observed() -> AsyncGenerator[object, None]:
    """Subscribe to the outputs of a chain."""
    outputs = asyncio.Queue[object]()
    subscription = chain().observe(numbers()).subscribe(outputs.put_nowait)
    try:
        while True:
            yield await outputs.get()
    finally:
        subscription.dispose()


async def batched() -> AsyncGenerator[object, None]:
    """Iterate over the results of a node with policies, and count its events."""
    node = FunctionNode(event).pipe(timeout(60), limit(ConcurrencyLimit(5)), retry(2, wait=0))
    processor = BatchProcessor(node)
    processor.events.pipe(ops.count()).subscribe()
    async with processor.batch_as_completed(numbers()) as results:
        async for result in results:
            yield result


async def from_a_thread() -> AsyncGenerator[object, None]:
    """Take what a sensor in another thread emits without being asked, faster than it is taken."""
    sensor, over = Subject[int](), threading.Event()

    def measure() -> None:
        for number in count():
            sensor.on_next(number)
            if number % 100 == 0 and over.wait(0.001):
                return

    thread = threading.Thread(target=measure)
    stored = chain().stream(sensor, buffer=1_000, overflow=OverflowStrategy.DROP_OLDEST)
    try:
        async with stored:
            first = asyncio.ensure_future(anext(stored))
            await asyncio.sleep(0)
            thread.start()
            yield await first
            async for output in stored:
                yield output
    finally:
        over.set()
        thread.join()


PIPELINES: dict[str, Pipeline] = {
    "streamed": streamed,
    "observed": observed,
    "batched": batched,
    "from_a_thread": from_a_thread,
}


async def used(pipeline: Pipeline, events: int) -> Usage:
    """Let events through a pipeline, and look at the process now and then."""
    process, usage = psutil.Process(), Usage(events)
    passed = pipeline()
    memory = blocks = 0
    for number in range(1, events + 1):
        await anext(passed)
        if number % EVERY or number < WARM_UP:
            continue
        gc.collect()
        if number == WARM_UP:
            memory, blocks = process.memory_info().rss, sys.getallocatedblocks()
        usage.tasks.add(len(asyncio.all_tasks()))
        usage.files.add(process.num_fds())
        usage.grown_mb = max(usage.grown_mb, (process.memory_info().rss - memory) / 1e6)
        usage.grown_blocks = sys.getallocatedblocks() - blocks
    await passed.aclose()
    return usage


if __name__ == "__main__":
    # The stages warn of each event that they go on without.
    logging.disable(logging.WARNING)
    usage = asyncio.run(used(PIPELINES[sys.argv[1]], int(sys.argv[2])))
    print(json.dumps(asdict(usage), default=sorted))
