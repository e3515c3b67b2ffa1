"""Runs of ours that are watched or recorded, made anew for each run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

Make: TypeAlias = Callable[[Any, int], Any]
"""Takes a node or a function, and a concurrency; returns a processor."""

_numbers = count()


def plain(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(work, concurrency)


def left(work: Any, concurrency: int) -> Any:
    """Have a subscriber, but not any more when the run begins."""
    processor = plain(work, concurrency)
    processor.events.subscribe(print).dispose()
    return processor


def subscribed(work: Any, concurrency: int) -> Any:
    kinds: Counter[str] = Counter()

    def count_kind(event: Any) -> None:
        kinds[event.kind] += 1

    processor = plain(work, concurrency)
    processor.events.subscribe(count_kind)
    return processor


def traced(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor, Trace

    return BatchProcessor(work, concurrency, trace=Trace())


def with_progress(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(work, concurrency, progress="always")


def recorded(work: Any, concurrency: int) -> Any:
    from nadoo_flow import BatchProcessor

    return BatchProcessor(work, concurrency, checkpoint=new_file())


def logged(work: Any, concurrency: int) -> Any:
    """Have log records say for which item they are."""
    from nadoo_flow.telemetry import ItemFilter

    processor = plain(work, concurrency)
    processor.item_filter = ItemFilter()  # which counts for the runs while it exists
    return processor


def unsampled(work: Any, concurrency: int) -> Any:
    return _traced_by_sdk(work, concurrency, ratio=0.0)


def sampled(work: Any, concurrency: int) -> Any:
    return _traced_by_sdk(work, concurrency, ratio=1.0)


def partly_sampled(work: Any, concurrency: int) -> Any:
    return _traced_by_sdk(work, concurrency, ratio=0.01, trace_per_item=True)


def _traced_by_sdk(work: Any, concurrency: int, ratio: float, **options: Any) -> Any:
    from opentelemetry.metrics import NoOpMeterProvider

    from nadoo_flow.telemetry import instrument

    processor = plain(work, concurrency)
    provider = _make_tracer_provider(ratio)
    instrument(processor, tracer_provider=provider, meter_provider=NoOpMeterProvider(), **options)
    return processor


def metered(work: Any, concurrency: int) -> Any:
    """Have a dashboard, of which no page is open."""
    from nadoo_flow.dashboard import Dashboard

    processor = plain(work, concurrency)
    processor.kept = Dashboard(processor)
    return processor


def measured(work: Any, concurrency: int) -> Any:
    """Have the metrics of a run recorded, and no spans."""
    from opentelemetry.trace import NoOpTracerProvider

    from nadoo_flow.telemetry import instrument

    processor = plain(work, concurrency)
    instrument(
        processor, tracer_provider=NoOpTracerProvider(), meter_provider=_make_meter_provider()
    )
    return processor


@cache
def _make_tracer_provider(ratio: float) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio))
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return provider


@cache
def _make_meter_provider() -> Any:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    return MeterProvider([InMemoryMetricReader()])


def new_file() -> Path:
    """Name a file that does not exist yet, in a folder that is removed when the process ends."""
    return _make_folder() / str(next(_numbers))


@cache
def _make_folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


SUBSCRIBER = "a subscriber that counts events"
TRACE = "a trace"
BAR = "a progress bar"
CHECKPOINT = "a new checkpoint"
ITEM_FILTER = "an ItemFilter"
UNSAMPLED = "OpenTelemetry, a run that is not sampled"
SAMPLED = "OpenTelemetry, a run that is sampled"
PARTLY_SAMPLED = "OpenTelemetry, a trace for each item, of which 1% are sampled"
DASHBOARD = "a dashboard without an open page"
METRICS = "OpenTelemetry, metrics alone"

WATCHERS: dict[str, Make] = {
    SUBSCRIBER: subscribed,
    TRACE: traced,
    BAR: with_progress,
    CHECKPOINT: recorded,
    ITEM_FILTER: logged,
    UNSAMPLED: unsampled,
    SAMPLED: sampled,
    PARTLY_SAMPLED: partly_sampled,
    METRICS: measured,
    DASHBOARD: metered,
}
