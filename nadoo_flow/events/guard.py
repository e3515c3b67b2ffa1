"""A guard between a run and a watcher, so that an error of the watcher does not end the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .._support.functions import do_nothing
from .event import Event, RunInfo, Watcher
from .event_log import EventLog, find_log

ReportError: TypeAlias = Callable[[str, BaseException], None]


class Guard:
    """Passes events on to a watcher, until the watcher raises.

    Args:
        watcher: Receives the events of one run.
        report: Called with a message and the error, if the watcher raises.
    """

    def __init__(self, watcher: Watcher, report: ReportError) -> None:
        self._watcher = watcher
        self._on_event: Callable[[Event], object] = watcher.on_event
        self._report = report
        self._broken = False

    @property
    def log(self) -> EventLog | None:
        """The log to which events may be added instead of passing them on here."""
        return None if self._broken else find_log(self._watcher)

    def on_begin(self, run: RunInfo) -> None:
        """Pass on a run that begins."""
        try:
            self._watcher.on_begin(run)
        except Exception as error:
            self._give_up(error)

    def on_event(self, event: Event) -> None:
        """Pass on an event."""
        # Every event passes here, so a broken watcher is replaced rather than checked for.
        try:
            self._on_event(event)
        except Exception as error:
            self._give_up(error)

    def on_end(self, run: RunInfo) -> None:
        """Pass on a run that has ended."""
        if self._broken:
            return
        try:
            self._watcher.on_end(run)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._broken = True
        self._on_event = do_nothing
        self._report("a watcher of a run raised, so it gets no more events", error)
