"""Send the spans, metrics and logs of runs to OpenTelemetry.

    pip install 'nadoo-flow[otel]' opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    python telemetry.py

That prints a line for each span and each metric. With a collector, as those of Jaeger, Grafana or a
cloud, they go there:

    OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_SERVICE_NAME=answers python telemetry.py
"""

import asyncio
import json
import logging
import os

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from nadoo_flow import BatchProcessor, FunctionNode, NodeResult
from nadoo_flow.policies import retry
from nadoo_flow.telemetry import ItemFilter, instrument

log = logging.getLogger("answers")


def write_span(span):
    seconds = (span.end_time - span.start_time) / 1e9
    events = [event.name for event in span.events]
    return f"span {span.name} {seconds:.3f} s {json.dumps(dict(span.attributes))} {events}\n"


def write_metrics(data):
    found = [
        (metric.name, dict(point.attributes), getattr(point, "value", None) or point.count)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    return "".join(f"metric {name} {json.dumps(labels)} {value}\n" for name, labels, value in found)


def make_exporters():
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ:
        return OTLPSpanExporter(), OTLPMetricExporter()
    return ConsoleSpanExporter(formatter=write_span), ConsoleMetricExporter(formatter=write_metrics)


def set_up():
    """Set up the SDK, which sends what is left when the program ends."""
    span_exporter, metric_exporter = make_exporters()
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(span_exporter))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(metric_exporter)]))


def set_up_logs():
    """Name the item in each record that is logged for one."""
    handler = logging.StreamHandler()
    handler.addFilter(ItemFilter())
    handler.setFormatter(logging.Formatter("%(levelname)s item %(index)s: %(message)s"))
    log.addHandler(handler)


busy = [ConnectionError("the model has hung up")]


async def answer(prompt):
    # Below the span of the item, as those of instrumented clients are.
    with trace.get_tracer("answers").start_as_current_span("POST /answers"):
        await asyncio.sleep(0.1)  # stands for a call to a model
    if not prompt:
        log.warning("the prompt is empty")
        raise ValueError("nothing to answer")
    if busy:
        raise busy.pop()
    return NodeResult(True, prompt.upper(), metadata={"usage": {"tokens": len(prompt)}})


async def main():
    node = FunctionNode(answer).pipe(retry(attempts=3, wait=0.1, give_up_on=ValueError))
    results = await BatchProcessor(node).batch(["What?", "", "Why?", "Who?", "When?", "Where?"])
    print(results.summary())


if __name__ == "__main__":
    set_up()
    set_up_logs()
    instrument()
    asyncio.run(main())
