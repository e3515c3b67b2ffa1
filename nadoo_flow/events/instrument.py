"""Instruments: what follows the items of runs in their own contexts, as telemetry does."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context, ContextVar
from threading import Lock
from typing import Any, NamedTuple, Protocol
from weakref import WeakSet

from .._support.usage import Usage
from .event import Kind, RunInfo


class ItemEnd(NamedTuple):
    """How an item ended.

    Attributes:
        kind: That of its last event.
        error: Why it failed, in words, if it did.
        usage: What it used, if that is known.
        exception: The exception behind the failure, where there is one.
    """

    kind: Kind
    error: str | None = None
    usage: Usage | None = None
    exception: BaseException | None = None


class StageFollower(Protocol):
    """Follows the items of one stage of a run; no method raises an Exception."""

    def start_item(self, index: int) -> Any:
        """Follow an item from now on, and return what the other methods get for it.

        It is called in the context of the item.

        Args:
            index: The position of the item in its source.
        """

    def end_item(self, item: Any, end: ItemEnd, seconds: float) -> None:
        """Follow an item no longer; called in its context if it has not been abandoned.

        Args:
            item: What :meth:`start_item` returned.
            end: How the item ended.
            seconds: How long the stage worked on it.
        """

    def count_item(self, kind: Kind) -> None:
        """Count an item that was not worked on: it was dropped early, or has a result already.

        Args:
            kind: That of its only event.
        """

    def note_retry(self, item: Any, error: str | None) -> None:
        """Note that an item is tried again.

        Args:
            item: What :meth:`start_item` returned.
            error: Why the last try failed, if that is known.
        """

    def note_fallback(self, item: Any, node_id: str, error: str | None) -> None:
        """Note that another node is asked for an item.

        Args:
            item: What :meth:`start_item` returned.
            node_id: The other node.
            error: Why the one before it failed, if that is known.
        """


class RunFollower(Protocol):
    """Follows one run; no method raises an Exception."""

    @property
    def stages(self) -> Sequence[StageFollower]:
        """The follower of each stage."""

    def end(self, error: BaseException | None, completed: bool) -> None:
        """Follow the run no longer.

        Args:
            error: Why it failed, if it did.
            completed: Whether it completed; otherwise, without an error, it was cancelled.
        """


class Carrier(Protocol):
    """What a call takes along to a worker of an executor; it can be pickled."""

    def attach(self) -> None:
        """Take effect in the current context; it raises no Exception."""


class Instrument(Protocol):
    """Follows runs."""

    def follow_run(self, run: RunInfo, context: Context) -> RunFollower | None:
        """Follow a run that begins, unless there is a reason not to; it raises no Exception.

        Args:
            run: The run.
            context: The context of which each item gets a copy.
        """

    def make_carrier(self) -> Carrier | None:
        """Make what takes the current context to another process; it raises no Exception."""


class Instruments:
    """The instruments of something; the one that was added last follows its runs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._added: tuple[Instrument, ...] = ()

    @property
    def latest(self) -> Instrument | None:
        """The one that was added last, if there is one."""
        added = self._added
        return added[-1] if added else None

    def add(self, instrument: Instrument) -> None:
        """Have an instrument follow the runs that begin from now on.

        Args:
            instrument: It comes before those that were added earlier.
        """
        with self._lock:
            self._added += (instrument,)

    def remove(self, instrument: Instrument) -> None:
        """Have an instrument follow no further runs.

        Args:
            instrument: One that was added.
        """
        with self._lock:
            self._added = tuple(other for other in self._added if other is not instrument)


of_all_runs = Instruments()
"""The instruments of all runs in the process, those apart that have one of their own."""

around: ContextVar[Instrument | None] = ContextVar("nadoo_flow_instrument", default=None)
"""The instrument that follows the run around the current code."""

readers: WeakSet[object] = WeakSet()
"""While there is one, the items of all runs are known to what they call; see ``find_item``."""


def find_instrument_around() -> Instrument | None:
    """Return the instrument that follows the run around the caller, if it is in an item of one."""
    return around.get()


def make_carriers() -> tuple[Carrier, ...]:
    """Make what takes the current context to another process: nothing if no run is followed."""
    instrument = find_instrument_around()
    carrier = None if instrument is None else instrument.make_carrier()
    return () if carrier is None else (carrier,)
