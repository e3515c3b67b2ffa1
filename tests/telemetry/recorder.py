"""The real SDK of OpenTelemetry, which keeps in memory what it is given."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from nadoo_flow.telemetry import Instrumentation, instrument


class _Started(SpanProcessor):
    """Counts the spans that were started and have not ended."""

    open = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.open += 1

    def on_end(self, span: ReadableSpan) -> None:
        self.open -= 1


class Recorder:
    """Records spans and metrics.

    Attributes:
        tracer: That of the user's own code.
    """

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self._started = _Started()
        self.tracer_provider = TracerProvider(sampler=sampler)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer_provider.add_span_processor(self._started)
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._reader])
        self.tracer = self.tracer_provider.get_tracer("user")

    def instrument(self, target: Any = None, **options: Any) -> Instrumentation:
        """Have runs recorded here."""
        return instrument(
            target,
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            **options,
        )

    @property
    def open(self) -> int:
        """How many spans have been started and have not ended."""
        return self._started.open

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in this order."""
        return list(self._exporter.get_finished_spans())

    def find(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name, in the order of their items."""
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: attributes_of(span).get("nadoo_flow.item.index", 0))

    def find_one(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        (span,) = self.find(name)
        return span

    def list_paths(self) -> list[str]:
        """Write each span below those around it, such as ``run node > node > http``, sorted."""
        by_id = {span.context.span_id: span for span in self.spans if span.context}

        def write(span: ReadableSpan) -> str:
            above = by_id[span.parent.span_id] if span.parent is not None else None
            return span.name if above is None else f"{write(above)} > {span.name}"

        return sorted(map(write, self.spans))

    def measure(self, name: str) -> dict[tuple[str, ...], Any]:
        """Return the points of a metric by the values of their attributes."""
        data = self._reader.get_metrics_data()
        metrics = [
            metric
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return {
            tuple(str(value) for value in (point.attributes or {}).values()): point
            for metric in metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    def count(self, name: str) -> dict[tuple[str, ...], int]:
        """Return the sums of a counter by the values of their attributes."""
        return {values: point.value for values, point in self.measure(name).items()}


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


def outcomes_of(spans: list[ReadableSpan]) -> list[Any]:
    """Return what became of what spans stand for."""
    return [attributes_of(span).get("nadoo_flow.outcome") for span in spans]
