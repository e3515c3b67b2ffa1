"""The ways in which the code of a user runs a node over inputs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from reactivex import Observable

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    CheckpointError,
    DeadLetterError,
    Valve,
    streams,
)
from tests.work import Mapped

from .case import Batch, Case
from .checkpoints import MemoryCheckpoint
from .draining import EARLY, NotedValve, check_early_end, drain_later, early, make_limits
from .endings import End, until_awaited, until_iterated, until_observed
from .ledger import Ledger
from .memory_steps import MemorySteps
from .nodes import Builder
from .sources import Inputs
from .stage_ways import consume_stages
from .watching import Watchers

Kept: TypeAlias = MemoryCheckpoint | MemorySteps
"""What is kept of a run for the next one."""

PULLED = (
    "iterable",
    "iterator",
    "generator",
    "async_generator",
    "async_iterator",
    "async_closeable",
)
"""Sources that are pulled, so that it is known how far."""


async def consumed(
    case: Case,
    ledger: Ledger,
    builder: Builder,
    inputs: Inputs,
    watchers: Watchers,
    checkpoint: Kept | None,
) -> End:
    """Run a case in its way, and say how that ended."""
    if case.ending.kind not in EARLY:
        return await _consumed(case, ledger, builder, inputs, watchers, checkpoint, None)
    with early():
        valve = NotedValve()
        draining = asyncio.create_task(drain_later(case.ending, valve, ledger))
        end = await _consumed(case, ledger, builder, inputs, watchers, checkpoint, valve)
        await asyncio.wait([draining])
        check_early_end(case, end, ledger, valve)
    return end


async def _consumed(
    case: Case,
    ledger: Ledger,
    builder: Builder,
    inputs: Inputs,
    watchers: Watchers,
    checkpoint: Kept | None,
    valve: Valve | None,
) -> End:
    source = inputs.make()
    if isinstance(case.what, Batch):
        limits = make_limits(case.ending, valve)
        limits["failed_to"] = builder.letters.make_sink(case.what.letters)
        kept = checkpoint if isinstance(checkpoint, MemoryCheckpoint) else None
        processor = builder.batch(case.what, watchers.trace, kept, **limits)
        watchers.subscribe(processor)

        def note(result: BatchResult) -> None:
            builder.letters.receive(result)
            if kept is not None:
                kept.receive(result)

        end = await _batch(case, case.what, ledger, processor, source, note)
        if isinstance(end.error, (CheckpointError, DeadLetterError)):
            ledger.fatal.append(end.error)
        return end
    stages: Any = builder.stages(case.what)
    watchers.subscribe(stages)
    steps = checkpoint if isinstance(checkpoint, MemorySteps) else None
    return await consume_stages(case, ledger, builder, stages, source, watchers.trace, valve, steps)


async def _batch(
    case: Case,
    batch: Batch,
    ledger: Ledger,
    processor: BatchProcessor,
    source: Any,
    note: Callable[[BatchResult], None],
) -> End:
    received: list[BatchResult] = ledger.received
    # What waits for a disk is more.
    window = math.inf if case.disk is not None else 4 * batch.limit + 1

    def receive(result: BatchResult) -> None:
        note(result)
        received.append(result)
        if len(ledger.pulled) - len(received) > window and case.source.kind in PULLED:
            ledger.find("more was pulled than the window holds")

    if case.way == "batch":
        end = await until_awaited(lambda: processor.batch(source), case.ending, ledger)
        if end.value is not None:
            for result in end.value:
                note(result)
                received.append(result)
    elif case.way == "batch_as_completed":
        iterator = processor.batch_as_completed(source)
        end = await until_iterated(iterator, case.ending, ledger, receive, case.slow)
    elif case.way == "batch_in_chunks":

        def receive_chunk(chunk: list[BatchResult]) -> None:
            for result in chunk:
                note(result)
                received.append(result)
            if not 1 <= len(chunk) <= case.chunk:
                ledger.find("a chunk has a wrong size")

        chunks = processor.batch_in_chunks(source, case.chunk)
        end = await until_iterated(chunks, case.ending, ledger, receive_chunk, case.slow)
    elif case.way == "lanes":
        lanes = streams.CloseableAsyncIterator(_lanes(processor, batch, source, ledger))
        end = await until_iterated(lanes, case.ending, ledger, receive, case.slow)
    else:
        end = await until_observed(processor.observe(source), case.ending, ledger, receive)
    return end


def _lanes(
    processor: BatchProcessor, batch: Batch, source: Any, ledger: Ledger
) -> streams.Plan[BatchResult]:
    """Plan a run of the engine alone, whose mapper may be called when a lane is free for it."""
    unfinished = 0
    ledger.many_contexts = True

    async def processed(index: int, value: Any) -> BatchResult:
        nonlocal unfinished
        try:
            return await processor.process_single(value, index)
        finally:
            unfinished -= 1

    def mapper(indexed: streams.Indexed[Any]) -> Coroutine[Any, Any, BatchResult]:
        nonlocal unfinished
        unfinished += 1
        if unfinished > batch.limit:
            ledger.find("a mapper is called before a lane is free")
        return processed(*indexed)

    def build(run: streams.Subscription) -> Observable[BatchResult]:
        inputs: Observable[streams.Indexed[Any]] = streams.emit(
            run, streams.as_source(source, "source")
        )
        isolate: Any = batch.isolate
        return inputs.pipe(streams.flat_map(run, Mapped(mapper), batch.limit, isolate))

    return streams.Plan(build, batch.limit)
