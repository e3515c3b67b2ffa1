"""The meter of a run, for readers that sample it instead of receiving events."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .._support.clock import get_clock
from ..streams import Subscription
from .event import RunInfo, Watcher
from .meter import StageMeter


class MeterReader(Protocol):
    """What reads the meters of the runs of a processor or stage.

    The methods are called in the thread of the run, and must not raise.
    """

    def add_run(self, meter: RunMeter) -> None:
        """Receive the meter of a run that begins.

        Args:
            meter: It counts until the run has ended, and stays as it is then.
        """

    def end_run(self, meter: RunMeter) -> None:
        """Receive the meter of a run that has ended.

        Args:
            meter: The same as at the beginning.
        """


class RunMeter(Watcher):
    """Counts the items of one run, by stages.

    Args:
        info: The run, as it is known when it begins.
        readers: They get the meter when the run begins, and when it has ended.
        run: The run, or None if its results are made by an override that has no run.

    Attributes:
        stages: The meter of each stage.
        began: When it began, by its clock.
        ended: When it ended, or None.
        run: The run, while it has not ended.
        end: How it has ended: ``"completed"``, ``"drained"``, ``"failed"``, ``"cancelled"``, or
            ``"ended"`` where there was no run; None before.
    """

    def __init__(
        self, info: RunInfo, readers: tuple[MeterReader, ...], run: Subscription | None
    ) -> None:
        self.info = info
        self._readers = readers
        self.run = run
        self._loop = asyncio.get_running_loop()
        self.time = get_clock(self._loop)
        self.began = self.time()
        self.ended: float | None = None
        self.end: str | None = None
        self.stages = [StageMeter(stage, self.time) for stage in info.stages]

    @property
    def is_lost(self) -> bool:
        """Whether its event loop was closed before it had ended."""
        return self.ended is None and self._loop.is_closed()

    def on_begin(self, run: RunInfo) -> None:
        """Pass itself on to its readers.

        Args:
            run: The run.
        """
        for reader in self._readers:
            reader.add_run(self)

    def on_end(self, run: RunInfo) -> None:
        """Note the end.

        Args:
            run: The run.
        """
        self.ended = self.time()
        self.end = _describe_end(self.run)
        self.run = None
        readers, self._readers = self._readers, ()
        for reader in readers:
            reader.end_run(self)


def _describe_end(run: Subscription | None) -> str:
    if run is None:
        return "ended"
    if run.error is not None:
        return "failed"
    if run.draining.has_begun:
        return "drained"
    return "completed" if run.completed else "cancelled"
