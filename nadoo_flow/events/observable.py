"""Events as an Observable, for whoever subscribes to them."""

from __future__ import annotations

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from .event import Event
from .guard import ReportError


class Events(Observable[Event]):
    """A hot Observable of what happens in all runs of a processor or stage; it never completes.

    A run looks at its beginning whether anybody has subscribed. If nobody has, it makes no events
    at all. An observer that raises is unsubscribed, and the event loop's exception handler is told.
    """

    def __init__(self) -> None:
        super().__init__()
        self._observers: tuple[abc.ObserverBase[Event], ...] = ()

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._observers)

    def emit(self, report: ReportError, event: Event) -> None:
        """Tell all who are subscribed, and report those that raise."""
        for observer in self._observers:
            try:
                observer.on_next(event)
            except Exception as error:
                self._remove(observer)
                report("an observer of events raised, it is unsubscribed", error)

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
        # A copy of a node is a node of its own: nobody has subscribed to it.
        return Events, ()
