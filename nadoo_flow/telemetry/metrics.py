"""The metrics of items, by stage and outcome."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable
from typing import TypeAlias

from opentelemetry.metrics import Meter

from ..events import ItemEnd
from ..events.event import Kind
from .attributes import ERROR_TYPE, FALLBACK, OUTCOME, STAGE, name_error_type

FlushLater: TypeAlias = Callable[[Callable[[], object]], TimerHandle]
"""Has a function called by the event loop."""

BOUNDARIES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds between the buckets of durations: from a lookup to a slow answer of a model."""


class ItemMetrics:
    """The instruments of a meter, which all runs share.

    Args:
        meter: Makes them.
    """

    def __init__(self, meter: Meter) -> None:
        self.duration = meter.create_histogram(
            "nadoo_flow.item.duration",
            "s",
            "How long a stage worked on an item",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )
        self.items = meter.create_counter(
            "nadoo_flow.items", "{item}", "Items that have ended at a stage"
        )
        self.retries = meter.create_counter(
            "nadoo_flow.retries", "{retry}", "Further tries of items"
        )
        self.fallbacks = meter.create_counter(
            "nadoo_flow.fallbacks", "{fallback}", "Items for which another node was asked"
        )


class StageMetrics:
    """Records what happens to the items of one stage of a run.

    Items are counted here and passed on together, because a counter takes several microseconds.

    Args:
        metrics: The instruments.
        stage: The id of the stage, as an attribute.
        flush_later: Calls a function soon, but not at once.
    """

    def __init__(self, metrics: ItemMetrics, stage: str, flush_later: FlushLater) -> None:
        self._metrics = metrics
        self._stage = stage
        self._flush_later = flush_later
        self._timer: TimerHandle | None = None
        # Made once and not for each item.
        self._attributes: dict[tuple[Kind, str | None], dict[str, str]] = {}
        self._counts: dict[tuple[Kind, str | None], int] = {}

    def record_end(self, end: ItemEnd, seconds: float) -> None:
        """Record an item that a stage has worked on."""
        kind = end.kind
        outcome = kind, name_error_type(end.exception) if kind == "failed" else None
        self._count(outcome)
        self._metrics.duration.record(seconds, self._attributes[outcome])

    def count_item(self, kind: Kind) -> None:
        """Count an item that was not worked on."""
        self._count((kind, None))

    def count_retry(self) -> None:
        """Count another try of an item."""
        self._metrics.retries.add(1, {STAGE: self._stage})

    def count_fallback(self, node: str) -> None:
        """Count an item for which another node is asked."""
        self._metrics.fallbacks.add(1, {STAGE: self._stage, FALLBACK: node})

    def flush(self) -> None:
        """Pass on what was counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, {}
        for outcome, number in counts.items():
            self._metrics.items.add(number, self._attributes[outcome])

    def _count(self, outcome: tuple[Kind, str | None]) -> None:
        if outcome not in self._attributes:
            kind, error_type = outcome
            attributes = {STAGE: self._stage, OUTCOME: str(kind)}
            if error_type is not None:
                attributes[ERROR_TYPE] = error_type
            self._attributes[outcome] = attributes
        self._counts[outcome] = self._counts.get(outcome, 0) + 1
        if self._timer is None:
            self._timer = self._flush_later(self.flush)
