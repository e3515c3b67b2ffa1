"""What keeps a watcher and the run that it watches apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .._support.functions import do_nothing
from .event import Event, RunInfo, Watcher

ReportError: TypeAlias = Callable[[str, BaseException], None]


class Guard:
    """Keeps what a watcher raises from the run, and bothers no more one that raised."""

    def __init__(self, watcher: Watcher, report: ReportError) -> None:
        self._watcher = watcher
        self._on_event: Callable[[Event], object] = watcher.on_event
        self._report = report
        self._broken = False

    def on_begin(self, run: RunInfo) -> None:
        """Tell the watcher that a run begins."""
        try:
            self._watcher.on_begin(run)
        except Exception as error:
            self._give_up(error)

    def on_event(self, event: Event) -> None:
        """Tell the watcher what happened to an item."""
        # Called for every event, so it has no more than this to do.
        try:
            self._on_event(event)
        except Exception as error:
            self._give_up(error)

    def on_end(self, run: RunInfo) -> None:
        """Tell the watcher that a run has ended."""
        if self._broken:
            return
        try:
            self._watcher.on_end(run)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._broken = True
        self._on_event = do_nothing
        self._report("a watcher of a run raised, it is told no more", error)
