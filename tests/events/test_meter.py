"""The meters of a run count what its events would say, without making them."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from reactivex import Subject
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeResult,
    OperatorNode,
    OverflowStrategy,
    ReduceNode,
    SqliteCheckpoint,
    Trace,
)
from nadoo_flow.events import BOUNDS, RunMeter, StageMeter, WatchOptions
from nadoo_flow.events.event import use_watch_options
from nadoo_flow.events.meter import LONGEST_ERROR, MOST_FAILURES
from nadoo_flow.policies import retry

from ..stand_ins import double, slowly


class Reader:
    """Keeps the meters of runs."""

    def __init__(self, *owners: Any) -> None:
        self.runs: list[RunMeter] = []
        self.ended: list[RunMeter] = []
        for owner in owners:
            owner.events.add_reader(self)

    def add_run(self, meter: RunMeter) -> None:
        self.runs.append(meter)

    def end_run(self, meter: RunMeter) -> None:
        self.ended.append(meter)


def counted(stage: StageMeter) -> dict[str, int]:
    counts = {
        "finished": stage.finished,
        "failed": stage.failed,
        "dropped": stage.dropped + stage.overflowed,
        "cancelled": stage.cancelled,
        "retried": stage.retried,
    }
    return {kind: count for kind, count in counts.items() if count}


def fail_on_odd(value: int) -> NodeResult:
    usage = {"usage": {"tokens": value}}
    return NodeResult(value % 2 == 0, value, f"{value} is odd", usage)


async def flaky(value: int) -> int:
    await asyncio.sleep(value)
    if value > 2:
        raise ValueError(f"{value} is too much")
    return value


def fail_at_length(value: int) -> None:
    raise ValueError("x" * 10_000_000)


def twice(value: int) -> list[int]:
    if value == 3:
        raise ValueError("three")
    return [value, value]


def is_even(value: int) -> bool:
    return value % 2 == 0


def batch(node: Any, **options: Any) -> tuple[Any, Callable[[], Coroutine[Any, Any, Any]]]:
    processor = BatchProcessor(node, 3, **options)
    return processor, lambda: processor.batch(range(6))


def stage(made: Any) -> tuple[Any, Callable[[], Coroutine[Any, Any, Any]]]:
    return made, lambda: made.run({"items": range(6)})


RETRIED = FunctionNode(flaky).pipe(retry(attempts=3, wait=1))
SCENES: dict[str, Callable[[], Any]] = {
    "finished": lambda: batch(slowly),
    "failed results": lambda: batch(fail_on_odd),
    "raised": lambda: batch(flaky),
    "retried": lambda: batch(RETRIED),
    "first failure ends the run": lambda: batch(flaky, continue_on_error=False),
    "map": lambda: stage(MapNode("map", fail_on_odd, continue_on_error=True)),
    "map that fails": lambda: stage(MapNode("map", flaky)),
    "many": lambda: stage(FlatMapNode("many", twice, continue_on_error=True)),
    "filter": lambda: stage(FilterNode("filter", is_even)),
    "reduce": lambda: stage(ReduceNode("sum", lambda total, x: (total or 0) + x)),
    "operators": lambda: stage(OperatorNode(ops.take(3))),
    "chain": lambda: stage(
        FilterNode("filter", is_even, output_key="even")
        | MapNode("map", RETRIED, "even", "done", continue_on_error=True)
        | FlatMapNode("many", twice, "done", "items")
    ),
}


async def carry_out(
    scene: str, watched: bool = False, traced: bool = False
) -> tuple[list[StageMeter], list[Counter[str]]]:
    owner, run = SCENES[scene]()
    reader, events = Reader(owner), list[Any]()
    if watched:
        owner.events.subscribe(events.append)
    owner.trace = traced  # of a batch
    with use_watch_options(WatchOptions(trace=Trace() if traced else None)):  # of stages
        await asyncio.gather(run(), return_exceptions=True)
    (meter,) = reader.runs
    assert reader.ended == [meter]
    kinds = [Counter[str]() for _ in meter.stages]
    for event in events:
        kinds[event.position][event.kind] += event.kind != "started"
    return meter.stages, kinds


@pytest.mark.parametrize("scene", SCENES)
async def test_a_meter_counts_what_events_say_also_where_none_are_made(scene: str) -> None:
    with_events, kinds = await carry_out(scene, watched=True)
    said = [{kind: count for kind, count in each.items() if count} for each in kinds]
    assert [counted(each) for each in with_events] == said
    for traced in (False, True):
        without, _ = await carry_out(scene, traced=traced)
        assert [counted(each) for each in without] == said
        for one, other in zip(with_events, without, strict=True):
            assert (one.in_work, other.in_work) == ({}, {})
            assert one.latencies == other.latencies
            assert one.count.usage == other.count.usage
            assert [failure[:2] for failure in one.failures] == [
                failure[:2] for failure in other.failures
            ]


async def test_items_in_work_are_there_from_their_start_to_their_end() -> None:
    processor = BatchProcessor(slowly, 2)
    reader = Reader(processor)
    running = asyncio.ensure_future(processor.batch([3, 1, 4]))
    await asyncio.sleep(2)
    ((stage,),) = [meter.stages for meter in reader.runs]
    assert stage.in_work == {0: 0.0, 2: 1.0}
    assert (stage.ended, stage.finished) == (1, 1)
    await running
    assert (reader.runs[0].began, reader.runs[0].ended) == (0.0, 5.0)


async def test_a_latency_is_counted_in_the_class_that_it_is_in() -> None:
    processor = BatchProcessor(slowly, 3)
    reader = Reader(processor)
    await processor.batch([0, 1, 3_000_000])
    (stage,) = reader.runs[0].stages
    classes = [at for at, count in enumerate(stage.latencies) if count]
    assert classes[0] == 0
    assert BOUNDS[classes[1] - 1] < 1 <= BOUNDS[classes[1]]
    assert classes[2] == len(BOUNDS)


async def test_of_failures_the_latest_are_kept_and_of_their_errors_the_beginning() -> None:
    processor = BatchProcessor(fail_at_length, 3)
    reader = Reader(processor)
    await processor.batch(range(MOST_FAILURES + 5))
    (stage,) = reader.runs[0].stages
    assert [failure.index for failure in stage.failures] == list(range(5, MOST_FAILURES + 5))
    assert {len(failure.error) for failure in stage.failures} == {LONGEST_ERROR}
    assert stage.failed == MOST_FAILURES + 5


async def test_a_cancelled_run_leaves_its_items_as_cancelled() -> None:
    processor = BatchProcessor(slowly, 2)
    reader = Reader(processor)
    running = asyncio.ensure_future(processor.batch([3, 1, 4]))
    await asyncio.sleep(2)
    running.cancel()
    await asyncio.wait([running])
    (meter,) = reader.ended
    assert counted(meter.stages[0]) == {"finished": 1, "cancelled": 2}
    assert meter.stages[0].in_work == {}


async def test_what_never_came_in_and_what_was_resumed_count_too(tmp_path: Any) -> None:
    hot: Subject[int] = Subject()
    processor = BatchProcessor(slowly, 1, checkpoint=SqliteCheckpoint(tmp_path / "file"))
    reader = Reader(processor)
    for _ in range(2):
        results = processor.batch_as_completed(hot, buffer=1, overflow=OverflowStrategy.DROP_NEWEST)
        asking = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        for value in (1, 2, 3, 4, 5, 6, 7):
            hot.on_next(value)
        hot.on_completed()
        await asking
        async for _ in results:
            pass
        hot = Subject()
    first, second = (meter.stages[0] for meter in reader.runs)
    assert first.overflowed == second.overflowed == results.dropped > 0
    assert first.finished == second.finished == 7 - results.dropped


async def test_a_reader_that_is_dropped_is_dropped_and_costs_nothing_more() -> None:
    processor = BatchProcessor(double)
    reader = Reader(processor)
    await processor.batch([1])
    assert len(reader.runs) == 1
    runs = reader.runs
    del reader
    gc.collect()
    await processor.batch([1])
    assert len(runs) == 1


async def test_a_reader_of_a_chain_and_of_its_stages_gets_a_run_once() -> None:
    first, second = MapNode("a", double, "items", "x"), MapNode("b", double, "x", "y")
    chain = first | second
    reader = Reader(chain, first, second)
    await chain.run({"items": [1, 2]})
    (meter,) = reader.runs
    assert [stage.finished for stage in meter.stages] == [2, 2]


async def test_a_run_belongs_to_its_meter_until_it_ends() -> None:
    processor = BatchProcessor(slowly)
    reader = Reader(processor)
    running = asyncio.ensure_future(processor.batch([1]))
    await asyncio.sleep(0)
    assert reader.runs[0].run is not None
    await running
    assert reader.runs[0].run is None


async def test_an_override_is_metered_by_its_results() -> None:
    class Doubled(BatchProcessor[int, int]):
        async def batch_as_completed(self, *args: Any, **options: Any) -> Any:
            async for result in super().batch_as_completed(*args, **options):
                yield result

    processor = Doubled(slowly)
    reader = Reader(processor)
    await processor.batch([1, 2])
    (meter,) = reader.runs
    assert (meter.stages[0].finished, meter.run) == (2, None)
