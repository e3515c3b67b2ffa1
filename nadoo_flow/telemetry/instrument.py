"""The function that has runs followed, and what undoes that."""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any

from .._support.checks import check_bool, describe_value
from ..events import HasEvents, Instruments, RunFollower, RunInfo, of_all_runs
from .carrier import SpanCarrier, carry_current_span

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from .run_telemetry import Telemetry


def instrument(
    target: HasEvents | None = None,
    /,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    trace_per_item: bool = False,
) -> Instrumentation:
    """Report runs that begin from now on to OpenTelemetry.

    A run has a span, and each item has one for each stage, which is current while the node works on
    it: spans that are made there become its children, also in threads and, on an executor, in other
    processes. Runs that begin inside an item are reported too, below its span. Retries and
    fallbacks are events of the span. Where the span of a run is not recorded, because it is not
    sampled, its items have none either.

    Metrics: ``nadoo_flow.item.duration`` and ``nadoo_flow.items`` by stage and outcome,
    ``nadoo_flow.retries`` and ``nadoo_flow.fallbacks`` by stage.

    What a sampler or span processor raises is reported to the exception handler of the event loop,
    once for each run, and the run goes on.

    Args:
        target: A BatchProcessor or a list stage whose runs are reported; by default all runs in the
            process. A run of a chain is reported also for one of its stages. If a run could be
            reported by several, it is by one: the latest of its own, or else of the run around it,
            or else of those for all runs.
        tracer_provider: Makes the spans; the global one by default.
        meter_provider: Makes the metrics; the global one by default.
        trace_per_item: Whether each item begins a trace of its own, with a link to the span of its
            run. The sampler is then asked for each item, and so keeps a part of a large run. Items
            of a run inside an item are in the trace of that.

    Returns:
        What undoes it, by its method or as a context manager.

    Raises:
        TypeError: If the target is no processor or stage.
        ImportError: If opentelemetry-api is not installed.

    Example:
        >>> processor = BatchProcessor(str.upper)
        >>> with instrument(processor):
        ...     results = asyncio.run(processor.batch(["a", "b"]))  # a trace of three spans
    """
    if target is not None and not isinstance(target, HasEvents):
        raise TypeError(
            "target must be a BatchProcessor or a list stage, or left out for all runs, "
            f"got {describe_value(target)}"
        )
    check_bool(trace_per_item, "trace_per_item")
    try:
        from .run_telemetry import Telemetry
    except ImportError as error:
        raise ImportError(
            "instrument() needs opentelemetry-api: pip install 'nadoo-flow[otel]'"
        ) from error
    telemetry = Telemetry(tracer_provider, meter_provider, trace_per_item=trace_per_item)
    return Instrumentation(of_all_runs if target is None else target.events.instruments, telemetry)


class Instrumentation:
    """What :func:`instrument` has begun; as a context manager it ends with the block.

    Args:
        instruments: Those of all runs, or of a processor or stage.
        telemetry: Makes the spans and the metrics.

    Example:
        >>> instrumentation = instrument()  # all runs in the process
        >>> instrumentation.uninstrument()
    """

    def __init__(self, instruments: Instruments, telemetry: Telemetry) -> None:
        self._instruments = instruments
        self._telemetry = telemetry
        instruments.add(self)

    def uninstrument(self) -> None:
        """Report no further runs; those that have begun are reported to their end."""
        self._instruments.remove(self)

    def follow_run(self, run: RunInfo, context: Context) -> RunFollower | None:
        """Follow a run that begins.

        Args:
            run: The run.
            context: The context of which each item gets a copy.
        """
        return self._telemetry.follow_run(run, context)

    def make_carrier(self) -> SpanCarrier | None:
        """Make what takes the current span to another process."""
        return carry_current_span()

    def __enter__(self) -> Instrumentation:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.uninstrument()
