"""The spans and metrics of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any, TypeAlias

from opentelemetry import context as contexts
from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Link, Span, TracerProvider

from .._support.report_error import report_error
from ..errors import describe_error
from ..events import ItemEnd, RunInfo, find_instrument_around
from ..events.event import Kind
from .attributes import ERROR_MESSAGE, FALLBACK, INDEX, RUN, STAGE, STAGES, TOTAL
from .metrics import ItemMetrics, StageMetrics
from .spans import OpenSpan, describe_usage
from .texts import make_fit

FLUSH_SECONDS = 1.0
"""After how long what was counted is passed on, at most."""

RETRY = "nadoo_flow.retry"
"""The name of the event of another try."""

SCOPE = "nadoo_flow"
"""The name of the instrumentation scope."""

StartSpan: TypeAlias = Callable[..., Span]
"""Starts a span, given its name and attributes."""

Attempt: TypeAlias = Callable[..., Any]
"""Calls a function with arguments, and reports what it raises; returns None then."""


class Telemetry:
    """Makes the spans of runs, and records their metrics.

    Args:
        tracer_provider: Makes the spans; the global one by default.
        meter_provider: Makes the metrics; the global one by default.
        trace_per_item: Whether each item begins a trace of its own.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        *,
        trace_per_item: bool,
    ) -> None:
        self.tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        self.metrics = ItemMetrics(metrics.get_meter(SCOPE, meter_provider=meter_provider))
        self.trace_per_item = trace_per_item

    def follow_run(self, run: RunInfo, context: Context) -> RunTelemetry | None:
        """Begin the span of a run, and make it the current one in the context of the run."""
        attempt = _make_attempt()
        follower: RunTelemetry | None = attempt(self._follow, run, context, attempt)
        return follower

    def _follow(self, run: RunInfo, context: Context, attempt: Attempt) -> RunTelemetry:
        span = attempt(self._start_span, run) or trace.INVALID_SPAN
        around = trace.set_span_in_context(span)
        follower = RunTelemetry(self, run, span, around, attempt)
        context.run(contexts.attach, around)
        return follower

    def _start_span(self, run: RunInfo) -> Span:
        stages = [make_fit(stage.stage) for stage in run.stages]
        attributes: dict[str, Any] = {RUN: run.number, STAGES: stages}
        if run.total is not None:
            attributes[TOTAL] = run.total
        return self.tracer.start_span(f"run {' | '.join(stages)}", attributes=attributes)


class RunTelemetry:
    """Follows one run.

    Args:
        telemetry: Makes the spans.
        run: The run.
        span: The span of the run.
        around: The context of OpenTelemetry in which that is the current one.
        attempt: Calls what might raise.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        run: RunInfo,
        span: Span,
        around: contexts.Context,
        attempt: Attempt,
    ) -> None:
        self._attempt = attempt
        self._span = OpenSpan(span) if span.is_recording() else None
        start_span: StartSpan | None = None
        # What is inside an item belongs in the trace of that.
        if telemetry.trace_per_item and find_instrument_around() is None:
            around = trace.set_span_in_context(trace.INVALID_SPAN, around)
            links = [Link(span.get_span_context())]
            start_span = partial(telemetry.tracer.start_span, context=around, links=links)
        elif self._span is not None:
            start_span = partial(telemetry.tracer.start_span, context=around)
        loop = asyncio.get_running_loop()

        def flush_later(flush: Callable[[], object]) -> asyncio.TimerHandle:
            return loop.call_later(FLUSH_SECONDS, attempt, flush, context=Context())

        names = [make_fit(stage.stage) for stage in run.stages]
        self.stages = [
            StageTelemetry(
                name,
                StageMetrics(telemetry.metrics, name, flush_later),
                start_span,
                around,
                attempt,
            )
            for name in names
        ]

    def end(self, error: BaseException | None, completed: bool) -> None:
        """End the span of the run."""
        for stage in self.stages:
            stage.end()
        if self._span is None:
            return
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._attempt(self._span.fail, describe_error(error), error)
        else:
            self._attempt(self._span.end, "completed" if completed else "cancelled")


class StageTelemetry:
    """Follows the items of one stage of a run.

    Args:
        stage: The id of the stage.
        metrics: Those of the stage.
        start_span: Starts the span of an item, if items have spans.
        around: The context of OpenTelemetry around the items.
        attempt: Calls what might raise.
    """

    def __init__(
        self,
        stage: str,
        metrics: StageMetrics,
        start_span: StartSpan | None,
        around: contexts.Context,
        attempt: Attempt,
    ) -> None:
        self._stage = stage
        self._metrics = metrics
        self._start_span = start_span
        self._around = around
        self._attempt = attempt

    def end(self) -> None:
        """Pass on what has been counted so far."""
        self._attempt(self._metrics.flush)

    def start_item(self, index: int) -> OpenSpan | None:
        """Start the span of an item, and make it the current one."""
        if self._start_span is None:
            return None
        span: OpenSpan | None = self._attempt(self._start, self._start_span, index)
        return span

    def end_item(self, item: OpenSpan | None, end: ItemEnd, seconds: float) -> None:
        """Record how an item ended, and end its span."""
        self._attempt(self._metrics.record_end, end, seconds)
        if item is None:
            return
        used = self._attempt(describe_usage, end.usage)
        if end.kind == "failed":
            self._attempt(item.fail, end.error, end.exception, used)
        else:
            self._attempt(item.end, end.kind, used)

    def count_item(self, kind: Kind) -> None:
        """Count an item that was not worked on."""
        self._attempt(self._metrics.count_item, kind)

    def note_retry(self, item: OpenSpan | None, error: str | None) -> None:
        """Count another try of an item, and add an event to its span."""
        self._attempt(self._metrics.count_retry)
        if item is not None:
            self._attempt(item.add_event, RETRY, {ERROR_MESSAGE: make_fit(error or "")})

    def note_fallback(self, item: OpenSpan | None, node_id: str, error: str | None) -> None:
        """Count an item for which another node is asked, and add an event to its span."""
        node = make_fit(node_id)
        self._attempt(self._metrics.count_fallback, node)
        if item is not None:
            attributes = {FALLBACK: node, ERROR_MESSAGE: make_fit(error or "")}
            self._attempt(item.add_event, FALLBACK, attributes)

    def _start(self, start_span: StartSpan, index: int) -> OpenSpan | None:
        span = start_span(self._stage, attributes={STAGE: self._stage, INDEX: index})
        item = OpenSpan(span) if span.is_recording() else None
        # The item has a context of its own, so nothing has to be detached.
        contexts.attach(trace.set_span_in_context(span, self._around))
        return item


def _make_attempt() -> Attempt:
    """Return what calls a function, and reports an exception to the event loop, but one only."""
    loop = asyncio.get_running_loop()
    has_reported = False

    def attempt(function: Callable[..., Any], *args: Any) -> Any:
        nonlocal has_reported
        try:
            return function(*args)
        except Exception as error:
            if not has_reported:
                has_reported = True
                report_error(
                    loop, "telemetry of a run raised; its further errors are not reported", error
                )
            return None

    return attempt
