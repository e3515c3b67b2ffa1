"""Boards: the runs of a processor or stage that are at work, or ended a while ago."""

from __future__ import annotations

from collections import deque
from typing import Any, TypeAlias

from .._support.checks import describe_value
from ..batch.processor import BatchProcessor
from ..events import RunMeter
from ..nodes.node import BaseNode
from ..stages import ListStage
from .history import History

Owner: TypeAlias = "BatchProcessor[Any, Any] | ListStage[Any, Any, Any]"
"""What has runs to show."""

MOST_ENDED = 20
"""Runs that stay when they have ended."""

STAY = 600.0
"""Seconds for which they stay."""


class ShownRun:
    """A run that a page may show.

    Attributes:
        meter: Its counts.
        history: Its throughput, as far as it was sampled.
    """

    def __init__(self, meter: RunMeter) -> None:
        self.meter = meter
        self.history = History()


class Board:
    """The runs of one owner, and what is known of the owner itself.

    Args:
        owner: A processor or a stage.

    Raises:
        TypeError: If it is neither.
    """

    def __init__(self, owner: object) -> None:
        self._owner = _check_owner(owner)
        self._running: dict[int, ShownRun] = {}
        self._ended: deque[ShownRun] = deque(maxlen=MOST_ENDED)
        self._owner.events.add_reader(self)

    @property
    def node(self) -> BaseNode:
        """The node whose items the runs work on; a processor may be given another."""
        owner = self._owner
        return owner if isinstance(owner, ListStage) else owner.node

    def add_run(self, meter: RunMeter) -> None:
        """Receive a run that begins."""
        self._running[meter.info.number] = ShownRun(meter)

    def end_run(self, meter: RunMeter) -> None:
        """Receive a run that has ended."""
        shown = self._running.pop(meter.info.number, None)
        if shown is not None:
            self._ended.append(shown)

    def list_runs(self) -> tuple[list[ShownRun], list[ShownRun]]:
        """Return the runs at work and those that have ended, each with the latest first."""
        running = list(self._running.copy().values())
        for run in running:
            if run.meter.is_lost:
                run.meter.on_end(run.meter.info)
        ended = [run for run in tuple(self._ended) if _is_to_stay(run.meter)]
        running = [run for run in running if run.meter.ended is None]
        return running[::-1], ended[::-1]

    def find_run(self, number: str) -> RunMeter | None:
        """Return a run that is at work, by its number as the page writes it."""
        running = self._running.copy().items()
        return next((shown.meter for known, shown in running if str(known) == number), None)


def _is_to_stay(meter: RunMeter) -> bool:
    return meter.ended is not None and meter.time() - meter.ended < STAY


def _check_owner(owner: object) -> Owner:
    if isinstance(owner, (BatchProcessor, ListStage)):
        return owner
    raise TypeError(
        f"a Dashboard shows the runs of a processor or a stage, got {describe_value(owner)}"
    )
