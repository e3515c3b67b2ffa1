"""The events of a processor or stage as an Observable."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from weakref import ref

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from .event import Event
from .guard import ReportError
from .instrument import Instrument, Instruments, find_instrument_around, of_all_runs
from .run_meter import MeterReader


class Events(Observable[Event]):
    """A hot Observable of the events of all runs of a processor or stage; it never completes.

    Subscribe before a run begins: a run without observers at its beginning makes no events. An
    observer that raises is unsubscribed, and its error is reported to the exception handler of the
    event loop.

    Attributes:
        instruments: The instruments that follow those runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.instruments = Instruments()
        self._observers: tuple[abc.ObserverBase[Event], ...] = ()
        self._readers: tuple[ref[MeterReader], ...] = ()

    @property
    def observed(self) -> bool:
        """Whether there is an observer."""
        return bool(self._observers)

    def make_emit(self, report: ReportError) -> Callable[[Event], None]:
        """Return what emits an event to all observers, and unsubscribes those that raise.

        Args:
            report: Reports what an observer raises.
        """

        def emit(event: Event) -> None:
            for observer in self._observers:
                try:
                    observer.on_next(event)
                except Exception as error:
                    self._remove(observer)
                    report("an observer of events raised, it is unsubscribed", error)

        return emit

    def add_reader(self, reader: MeterReader) -> None:
        """Give the meters of the runs that begin from now on to a reader, as long as it is kept.

        Args:
            reader: It is not kept alive by this.
        """
        with self.lock:
            self._readers = (*(known for known in self._readers if known()), ref(reader))

    def _subscribe_core(
        self, observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        with self.lock:
            self._observers += (observer,)
        return Disposable(lambda: self._remove(observer))

    def _remove(self, observer: abc.ObserverBase[Event]) -> None:
        with self.lock:
            self._observers = tuple(known for known in self._observers if known is not observer)

    def __reduce__(self) -> tuple[type[Events], tuple[()]]:
        # Observers belong to the original: a copy of a node is another node, and starts without.
        return Events, ()


class HasEvents:
    """A base of what starts runs, whose events are made when they are first asked for."""

    @cached_property
    def events(self) -> Events:
        """What happens in the runs that begin from now on: a hot Observable of :class:`Event`."""
        # Threads that ask for it at the same time must get the same one.
        return vars(self).setdefault("events", Events())  # type: ignore[no-any-return]


def find_events(owner: object) -> Events | None:
    """Return the events of an object, or None if they have never been asked for.

    Args:
        owner: A processor, a stage, or any other object.
    """
    return vars(owner).get("events")


def find_instrument(*events: Events | None) -> Instrument | None:
    """Return the instrument that is to follow a run.

    Args:
        events: Those of what starts the run, and of its parts, whose instruments come first. They
            are followed by the one of the run around the caller, and the one of all runs.
    """
    for own in events:
        if own is not None and (instrument := own.instruments.latest) is not None:
            return instrument
    return find_instrument_around() or of_all_runs.latest


def find_readers(*events: Events | None) -> tuple[MeterReader, ...]:
    """Return who reads the meters of a run, each once.

    Args:
        events: Those of what starts the run, and of its parts.
    """
    references = [known for own in events if own is not None for known in own._readers]
    found = dict.fromkeys(reader for known in references if (reader := known()) is not None)
    return tuple(found)
