"""What is counted and measured, by stage and outcome."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from reactivex import Subject

from nadoo_flow import (
    BatchProcessor,
    FilterNode,
    FunctionNode,
    MapNode,
    OperatorNode,
    OverflowStrategy,
)
from nadoo_flow.policies import fallback, retry
from nadoo_flow.telemetry import instrument

from ..stand_ins import double, log_of_the_loop, slowly
from .recorder import Recorder

node = FunctionNode(slowly, "node")


def divide(number: int) -> float:
    return 1 / number


async def test_durations_are_seconds_of_the_loop() -> None:
    recorder = Recorder()
    with recorder.instrument():
        await BatchProcessor(node).batch([0.2, 3, 40])
    point = recorder.measure("nadoo_flow.item.duration")["node", "finished"]
    assert (point.count, point.sum, point.min, point.max) == (3, 43.2, 0.2, 40)
    bounds = [
        point.explicit_bounds[place]
        for place, count in enumerate(point.bucket_counts[:-1])
        if count
    ]
    assert bounds == [0.25, 5, 60]


async def test_each_stage_and_each_outcome_counts() -> None:
    recorder = Recorder()
    chain = MapNode("a", divide, output_key="items", continue_on_error=True) | FilterNode(
        "b", lambda number: number < 1
    )
    with recorder.instrument():
        await chain.run({"items": [0, 1, 2]})
    assert recorder.count("nadoo_flow.items") == {
        ("a", "finished"): 2,
        ("a", "failed", "ZeroDivisionError"): 1,
        ("b", "dropped"): 1,
        ("b", "finished"): 1,
    }
    durations = recorder.measure("nadoo_flow.item.duration")
    assert {key: point.count for key, point in durations.items()} == recorder.count(
        "nadoo_flow.items"
    )


async def test_cancelled_items_count() -> None:
    recorder = Recorder()
    with recorder.instrument():
        async with BatchProcessor(node, 2).batch_as_completed([1, 5]) as results:
            await anext(results)
    assert recorder.count("nadoo_flow.items") == {
        ("node", "finished"): 1,
        ("node", "cancelled"): 1,
    }


async def test_retries_and_fallbacks_count() -> None:
    recorder = Recorder()
    policies = retry(3, wait=0), fallback(FunctionNode(double, "other"))
    with recorder.instrument():
        await BatchProcessor(FunctionNode(divide, "node").pipe(*policies)).batch([0, 0, 1])
    assert recorder.count("nadoo_flow.retries") == {("node",): 4}
    assert recorder.count("nadoo_flow.fallbacks") == {("node", "other"): 2}


async def test_items_that_are_not_worked_on_count_and_last_no_time(tmp_path: Path) -> None:
    recorder = Recorder()
    processor = BatchProcessor(node, checkpoint=tmp_path / "checkpoint")
    await processor.batch([1, 2])
    with recorder.instrument():
        await processor.batch([1, 2])
        await OperatorNode(lambda items: items, node_id="same").run({"items": [1]})
    assert recorder.count("nadoo_flow.items") == {("node", "finished"): 2, ("same", "finished"): 1}
    assert recorder.measure("nadoo_flow.item.duration") == {}


async def test_items_that_find_no_room_count() -> None:
    recorder, subject = Recorder(), Subject[float]()
    with recorder.instrument():
        results = BatchProcessor(node, 1).batch_as_completed(
            subject, buffer=1, overflow=OverflowStrategy.DROP_NEWEST
        )
        async with results:
            first = asyncio.ensure_future(anext(results))
            await asyncio.sleep(0)
            for _ in range(20):
                subject.on_next(1)
            subject.on_completed()
            await first
            async for _ in results:
                pass
    dropped = recorder.count("nadoo_flow.items")["node", "dropped"]
    assert dropped == results.dropped > 0


async def test_what_was_counted_is_there_before_the_run_ends() -> None:
    recorder = Recorder()
    with recorder.instrument():
        async with BatchProcessor(node, 2).batch_as_completed([1, 60]) as results:
            await anext(results)
            await asyncio.sleep(1)
            assert recorder.count("nadoo_flow.items") == {("node", "finished"): 1}
            await anext(results)
    assert recorder.count("nadoo_flow.items") == {("node", "finished"): 2}


async def test_a_meter_that_raises_is_reported_once() -> None:
    class Broken(MeterProvider):
        def get_meter(self, *args: Any, **options: Any) -> Any:
            meter = super().get_meter(*args, **options)
            create_histogram = meter.create_histogram

            def create(*args: Any, **options: Any) -> Any:
                histogram: Any = create_histogram(*args, **options)

                def record(*args: Any) -> None:
                    raise RuntimeError("broken")

                histogram.record = record
                return histogram

            meter.create_histogram = create  # type: ignore[method-assign]
            return meter

    logged = log_of_the_loop()
    with instrument(meter_provider=Broken()):
        results = await BatchProcessor(node).batch([1, 2])
    assert results.outputs == [1, 2]
    assert len(logged()) == 1


@pytest.mark.parametrize("trace_per_item", [False, True])
async def test_spans_and_metrics_agree(trace_per_item: bool) -> None:
    recorder = Recorder()
    with recorder.instrument(trace_per_item=trace_per_item):
        await BatchProcessor(divide).batch([0, 1, 2])
    assert len(recorder.find("divide")) == sum(recorder.count("nadoo_flow.items").values()) == 3
