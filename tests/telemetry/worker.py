"""A worker process that exports its own spans; what it imports is imported by each worker."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


def start_exporting(endpoint: str) -> None:
    """Set OpenTelemetry up, as the initializer of a pool."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def work(number: int) -> int:
    """Make a span in the worker."""
    with trace.get_tracer("worker").start_as_current_span("in the worker"):
        return number * 2
