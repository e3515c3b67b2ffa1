"""Watchers of a run, which check what they are notified of; some of them raise."""

from __future__ import annotations

from typing import Any

from nadoo_flow import Event, Trace
from nadoo_flow.events.event import RunInfo

from .case import Watch
from .faults import ERRORS
from .ledger import Ledger

_ENDS = ("finished", "failed", "dropped", "cancelled")


class Notes:
    """Follows the events of runs item by item, and finds what cannot be.

    Args:
        watch: Says at which call to raise, and what.
        ledger: Where findings go.

    Attributes:
        events: All of them, until it raised.
        healthy: Whether it has not raised.
    """

    def __init__(self, watch: Watch, ledger: Ledger) -> None:
        self.watch = watch
        self.ledger = ledger
        self.events: list[Event] = []
        self.healthy = True
        self._calls = 0
        self._raised_in: int | None = None
        self._open: dict[tuple[int, int, int | None], Event] = {}
        self._over: set[tuple[int, int, int | None]] = set()
        self._lanes: set[tuple[int, int, int]] = set()

    def count_call(self, run: int) -> None:
        """Raise if this call is the one at which to do so."""
        if run == self._raised_in:
            self.ledger.find("a watcher that has raised is notified again")
        self._calls += 1
        if self._calls == self.watch.fails_at:
            self.healthy = False
            self._raised_in = run
            error = ERRORS[self.watch.error]()
            self.ledger.closing.append(error)
            raise error

    def note(self, event: Event) -> None:
        """Check an event against those before it."""
        self.events.append(event)
        item = event.run, event.position, event.index
        if event.index is None:
            if event.kind != "dropped":
                self._find("an event has no index", event)
        elif item in self._over:
            self._find("an event comes after the end of its item", event)
        elif event.kind == "started":
            self._begin(item, event)
        elif item not in self._open:
            self._find("an event comes before the start of its item", event)
        else:
            self._go_on(item, event)

    def check_end(self) -> None:
        """Check that no item is without its end."""
        if self.healthy and self._open:
            self._find("an item has started and not ended", *self._open.values())

    def kinds(self, position: int) -> dict[int | None, str]:
        """Return how each item of a stage has ended."""
        return {
            event.index: event.kind
            for event in self.events
            if event.kind in _ENDS and event.position == position
        }

    def _begin(self, item: tuple[int, int, int | None], event: Event) -> None:
        if item in self._open:
            self._find("an item has started twice", event)
        self._open[item] = event
        if event.lane is not None:
            lane = event.run, event.position, event.lane
            if lane in self._lanes:
                self._find("two items are in one lane", event)
            self._lanes.add(lane)

    def _go_on(self, item: tuple[int, int, int | None], event: Event) -> None:
        started = self._open[item]
        if (started.lane, started.stage) != (event.lane, event.stage):
            self._find("an item has changed its lane or stage", started, event)
        if event.time < started.time:
            self._find("an event is older than the start of its item", started, event)
        if event.kind in _ENDS:
            del self._open[item]
            self._over.add(item)
            if event.lane is not None:
                self._lanes.discard((event.run, event.position, event.lane))

    def _find(self, finding: str, *events: Event) -> None:
        if self.healthy:
            self.ledger.find(f"{finding}: {', '.join(map(repr, events[:3]))}")


class CheckedTrace(Trace):
    """A trace that checks when runs begin and end, and in the end the events that it has kept."""

    def __init__(self, watch: Watch, ledger: Ledger) -> None:
        super().__init__()
        self.notes = Notes(watch, ledger)
        self._running: dict[int, RunInfo] = {}
        self._begun: dict[int, RunInfo] = {}

    def on_begin(self, run: RunInfo) -> None:
        if run.number in self._begun:
            self.notes.ledger.find("a run begins twice")
        self._begun[run.number] = self._running[run.number] = run
        self.notes.count_call(run.number)
        super().on_begin(run)

    def on_end(self, run: RunInfo) -> None:
        if self._running.pop(run.number, None) is None:
            self.notes.ledger.find("a run ends that does not run")
        self.notes.count_call(run.number)
        super().on_end(run)

    def check(self, event: Event, runs: dict[int, RunInfo]) -> None:
        """Check that an event belongs to one of some runs, and follow its item."""
        run = runs.get(event.run)
        if run is None:
            self.notes.ledger.find(f"an event comes outside of its run: {event}")
        else:
            stage = run.stages[event.position]
            if event.stage != stage.stage or (event.lane or 0) >= stage.max_concurrency:
                self.notes.ledger.find(f"an event belongs to no lane of {stage}: {event}")
        self.notes.count_call(event.run)
        self.notes.note(event)

    def check_kept(self) -> None:
        """Check the events that runs have added to the log without a call."""
        for event in self.events:
            self.check(event, self._begun)

    def check_end(self) -> None:
        """Check that all that began has ended, and that it can be drawn."""
        self.notes.check_end()
        if self.notes.healthy and self._running:
            self.notes.ledger.find("a run has begun and not ended for its trace")
        times = [event.time for event in self.events] or [0.0]
        # No real clock can tell apart times that are closer; virtual time may begin so.
        if not 0 < max(times) - min(times) < 1e-9:
            self.timeline()


class RecordingTrace(CheckedTrace):
    """A trace that checks each event that it is passed."""

    def on_event(self, event: Event) -> None:
        self.check(event, self._running)
        super().on_event(event)

    def check_kept(self) -> None:
        """Check nothing, since that is done."""


class Watchers:
    """Those who watch one case.

    Attributes:
        trace: What is given as ``trace``.
        observers: What has been subscribed to ``events``.
        sees_all: Whether the first of these, and the trace if it is used, see all events.
    """

    def __init__(self, watches: tuple[Watch, ...], ledger: Ledger) -> None:
        self._watches = [watch for watch in watches if watch.kind == "events"]
        self._ledger = ledger
        # Where nothing else watches, the events of a trace that overrides nothing are not made.
        kind = CheckedTrace if len(watches) == 1 and not watches[0].fails_at else RecordingTrace
        traces = [kind(watch, ledger) for watch in watches if watch.kind == "trace"]
        self.trace = traces[0] if traces else None
        self.observers: list[Notes] = []
        self.sees_all = False

    def subscribe(self, runner: Any) -> None:
        """Subscribe to the events of a processor, or of list stages, the first ones first."""
        inner: Any = getattr(runner, "stages", None) or getattr(runner, "nodes", ())
        owners = [owner for owner in (runner, *reversed(inner)) if hasattr(owner, "events")]
        self.sees_all = runner in owners
        for watch, owner in zip(self._watches, owners, strict=False):
            notes = Notes(watch, self._ledger)
            self.observers.append(notes)
            owner.events.subscribe(_observing(notes))

    def notes_of_all(self) -> list[Notes]:
        """Return the notes of those who have seen all, for they watched all and have not raised."""
        traces = [] if self.trace is None else [self.trace.notes]
        watching_all = [*traces, *self.observers[:1]] if self.sees_all else []
        return [notes for notes in watching_all if notes.healthy and notes.events]


def _observing(notes: Notes) -> Any:
    def on_next(event: Event) -> None:
        notes.count_call(event.run)
        notes.note(event)

    return on_next
