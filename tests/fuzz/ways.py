"""The ways in which the code of a user runs a node over inputs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import reactivex as rx
from reactivex import Observable

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    CheckpointError,
    NodeContext,
    NodeError,
    Pipeline,
    Trace,
    Valve,
    WorkflowContext,
    streams,
)
from nadoo_flow import operators as node_operators
from tests.work import Mapped

from .case import Batch, Case
from .checkpoints import MemoryCheckpoint
from .draining import EARLY, NotedValve, check_early_end, drain_later, early, make_limits
from .endings import End, until_awaited, until_iterated, until_observed
from .ledger import Ledger
from .nodes import Builder
from .sources import Inputs
from .values import parent_of
from .watching import Watchers

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
    checkpoint: MemoryCheckpoint | None,
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
    checkpoint: MemoryCheckpoint | None,
    valve: Valve | None,
) -> End:
    source = inputs.make()
    if isinstance(case.what, Batch):
        limits = make_limits(case.ending, valve)
        processor = builder.batch(case.what, watchers.trace, checkpoint, **limits)
        watchers.subscribe(processor)
        note = (lambda result: None) if checkpoint is None else checkpoint.receive
        end = await _batch(case, case.what, ledger, processor, source, note)
        if isinstance(end.error, CheckpointError):
            ledger.fatal.append(end.error)
        return end
    stages: Any = builder.stages(case.what)
    watchers.subscribe(stages)
    trace = watchers.trace
    receive = _receive_indexed(case, ledger) if case.indexed else ledger.received.append
    many = case.what[-1].many if case.what[-1].kind == "flat_map" else None
    if many is not None and "generator" in many.form and case.way not in ("execute", "run"):
        # One more while the consumer has not taken what is handed to it.
        ledger.windows[many.name] = 4 * stages.max_concurrency + 1
    if case.way == "execute":

        async def execute() -> Any:
            result = await stages.execute(NodeContext({"items": source}), WorkflowContext())
            ledger.results.append(result)
            if not result.success:
                raise NodeError(stages.node_id, str(result.error)) from result.exception
            return result.output["items"]

        end = await until_awaited(execute, case.ending, ledger)
    elif case.way == "run":

        async def run() -> Any:
            # A pipeline of stages that stay apart takes none.
            given = {} if valve is None or isinstance(stages, Pipeline) else {"valve": valve}
            return (await stages.run({"items": source}, trace=trace, **given))["items"]

        end = await until_awaited(run, case.ending, ledger)
    elif case.way == "stream":
        iterator = stages.stream(
            source, ordered=case.ordered, trace=trace, indexed=case.indexed, valve=valve
        )
        end = await until_iterated(iterator, case.ending, ledger, receive, case.slow)
    else:
        observable = _observable(case, stages, builder, source, trace, valve)
        end = await until_observed(observable, case.ending, ledger, receive)
    if end.kind == "completed" and case.way in ("execute", "run"):
        ledger.received.extend([end.value] if case.what[-1].kind == "reduce" else end.value)
    return end


def _receive_indexed(case: Case, ledger: Ledger) -> Callable[[streams.Indexed[Any]], None]:
    """Receive outputs of which each was made of an input, by one or more stages of many outputs."""

    def receive(indexed: streams.Indexed[Any]) -> None:
        index, output = indexed
        ledger.received.append(output)
        item = output
        for _ in range(repr(case.what).count("'flat_map'")):
            item = parent_of(item)
        if index != item:
            ledger.find(f"output {output} has the index {index}")

    return receive


def _observable(
    case: Case,
    stages: Any,
    builder: Builder,
    source: Any,
    trace: Trace | None,
    valve: Valve | None,
) -> Observable[Any]:
    if case.way == "observe":
        observable: Observable[Any] = stages.observe(
            source, ordered=case.ordered, trace=trace, indexed=case.indexed, valve=valve
        )
        return observable
    given = source if isinstance(source, Observable) else rx.from_iterable(source)
    if case.way == "as_operator":
        return given.pipe(stages.as_operator(ordered=case.ordered, valve=valve))
    assert not isinstance(case.what, Batch)
    (stage,) = case.what
    operator = node_operators.flat_map(builder.node(stage.work), stage.limit, case.ordered)
    return given.pipe(operator)


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
