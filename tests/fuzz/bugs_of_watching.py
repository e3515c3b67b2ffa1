"""Bugs in what watchers are notified of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from nadoo_flow import Event
from nadoo_flow.events.guard import Guard
from nadoo_flow.events.run_reporter import RunReporter
from nadoo_flow.events.stage_reporter import StageReporter

from .replacing import Planting, replaced


def _changed(change: Callable[[Event], Event | None]) -> AbstractContextManager[None]:
    """Let the events of the items that a stage works on be changed, or left out."""
    inherited = StageReporter.with_events

    def with_events(report: StageReporter, *given: Any) -> Any:
        emit = report.emit

        def emit_changed(event: Event) -> None:
            if (changed := change(event)) is not None:
                emit(changed)

        report.emit = emit_changed
        return inherited(report, *given)

    return replaced(StageReporter, "with_events", with_events)


def cancelled_items_never_end() -> AbstractContextManager[None]:
    """Emit nothing for an item that is cancelled."""
    return _changed(lambda event: None if event.kind == "cancelled" else event)


def lanes_overlap() -> AbstractContextManager[None]:
    """Put each second item into the first lane."""
    return _changed(lambda event: event._replace(lane=0) if (event.index or 0) % 2 else event)


def failures_look_finished() -> AbstractContextManager[None]:
    """Emit a failed item as a finished one."""
    return _changed(
        lambda event: event._replace(kind="finished") if event.kind == "failed" else event
    )


def end_is_not_told() -> AbstractContextManager[None]:
    """Leave watchers without the end of a run."""

    def end(report: RunReporter) -> None:
        pass

    return replaced(RunReporter, "end", end)


def end_is_told_early() -> AbstractContextManager[None]:
    """Notify watchers of the end of a run when its first item ends."""
    inherited = Guard.on_begin

    def on_begin(guard: Guard, run: Any) -> None:
        inherited(guard, run)
        emit = guard._on_event

        def on_event(event: Event) -> None:
            emit(event)
            if event.kind != "started":
                guard.on_end(run)

        guard._on_event = on_event

    return replaced(Guard, "on_begin", on_begin)


def watchers_break_the_run() -> AbstractContextManager[None]:
    """Let what a watcher raises reach the run."""
    return replaced(Guard, "on_event", lambda guard, event: guard._watcher.on_event(event))


BUGS: dict[Planting, str] = {
    cancelled_items_never_end: r"Watch\(",
    lanes_overlap: r"Watch\(",
    failures_look_finished: r"Watch\(",
    end_is_not_told: r"Watch\(",
    end_is_told_early: r"Watch\(",
    watchers_break_the_run: r"Watch\(",
}
