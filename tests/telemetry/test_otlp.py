"""Spans and metrics as they arrive at a receiver, sent by the real exporters."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from nadoo_flow import BatchProcessor, FunctionNode, NodeResult
from nadoo_flow.executors import on
from nadoo_flow.policies import fallback, retry
from nadoo_flow.telemetry import Instrumentation, instrument

from ..hostile_texts import HOSTILE
from .receiver import Receiver, read_attributes, receiving
from .worker import start_exporting, work


class Exporting(NamedTuple):
    """Providers whose exporters send to the receiver."""

    tracers: TracerProvider
    meters: MeterProvider

    def instrument(self) -> Instrumentation:
        """Have all runs exported."""
        return instrument(tracer_provider=self.tracers, meter_provider=self.meters)

    def finish(self) -> None:
        """Send what has not been sent."""
        self.tracers.force_flush()
        self.meters.force_flush()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def exporting(receiver: Receiver) -> Iterator[Exporting]:
    tracers = TracerProvider()
    span_exporter = OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces")
    tracers.add_span_processor(BatchSpanProcessor(span_exporter))
    metric_exporter = OTLPMetricExporter(endpoint=f"{receiver.url}/v1/metrics")
    meters = MeterProvider([PeriodicExportingMetricReader(metric_exporter)])
    exporting = Exporting(tracers, meters)
    yield exporting
    tracers.shutdown()
    meters.shutdown()


@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_run_arrives(receiver: Receiver, exporting: Exporting) -> None:
    with exporting.instrument():
        await BatchProcessor(lambda number: 1 / number).batch(range(3))
    exporting.finish()

    spans = {}
    for span in receiver.spans:
        index = read_attributes(span.attributes).get("nadoo_flow.item.index", "run")
        spans[index] = span
    assert set(spans) == {"run", 0, 1, 2}
    assert {spans[index].parent_span_id for index in range(3)} == {spans["run"].span_id}
    assert {span.trace_id for span in spans.values()} == {spans["run"].trace_id}
    assert read_attributes(spans[0].attributes)["error.type"] == "ZeroDivisionError"
    assert [event.name for event in spans[0].events] == ["exception"]
    assert spans[0].status.code == spans[0].status.STATUS_CODE_ERROR

    points = receiver.metrics["nadoo_flow.items"].sum.data_points
    assert sorted(
        (read_attributes(point.attributes)["nadoo_flow.outcome"], point.as_int) for point in points
    ) == [("failed", 1), ("finished", 2)]
    durations = receiver.metrics["nadoo_flow.item.duration"]
    assert durations.unit == "s"
    assert sum(point.count for point in durations.histogram.data_points) == 3


@pytest.mark.slow
@pytest.mark.asyncio(loop_factories=["real"])
async def test_spans_of_workers_arrive_below_those_of_their_items(
    receiver: Receiver, exporting: Exporting
) -> None:
    def make_pool() -> ProcessPoolExecutor:
        endpoint = f"{receiver.url}/v1/traces"
        return ProcessPoolExecutor(
            1, get_context("spawn"), initializer=start_exporting, initargs=[endpoint]
        )

    with exporting.instrument():
        results = await BatchProcessor(FunctionNode(work).pipe(on(make_pool))).batch([1, 2])
    exporting.finish()
    assert results.outputs == [2, 4]
    inside = [span for span in receiver.spans if span.name == "in the worker"]
    items = [span for span in receiver.spans if span.name == "work"]
    assert len(inside) == len(items) == 2
    assert {span.parent_span_id for span in inside} == {span.span_id for span in items}
    assert len({span.trace_id for span in receiver.spans}) == 1


@pytest.mark.asyncio(loop_factories=["real"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_no_text_or_number_keeps_a_batch_from_arriving(
    receiver: Receiver, exporting: Exporting, text: str
) -> None:
    def fail(_: Any) -> None:
        raise ValueError(text)

    async def answer(_: Any) -> NodeResult:
        used = {text: 10**30, "huge": 10**400, "negative": -(2**63) - 1}
        return NodeResult(False, error=text, metadata={"usage": used})

    name = text or "empty"
    node = FunctionNode(fail, name).pipe(retry(2, wait=0), fallback(FunctionNode(answer, name)))
    with exporting.instrument():
        await BatchProcessor(node).batch([1])
    exporting.finish()
    assert len(receiver.spans) == 2
    (item,) = [span for span in receiver.spans if span.parent_span_id]
    used = read_attributes(item.attributes)
    assert used["nadoo_flow.usage.negative"] == -(2**63) + 1
    assert "nadoo_flow.usage.huge" not in used
    assert {"nadoo_flow.items", "nadoo_flow.fallbacks"} <= set(receiver.metrics)
