"""A gate in front of a chain, closed until the checkpoint is known to belong to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from reactivex import Observable, abc

from ..streams import CallingObserver, Direct, Indexed, Subscription


class Gate:
    """Holds the items of a source, which is subscribed to at once, until it is opened.

    Items that are held stay outstanding, so there are never more than the window of the run.
    """

    def __init__(self, run: Subscription) -> None:
        self._run = run
        self._held: deque[Indexed[Any]] = deque()
        self._is_open = False
        self._observer: abc.ObserverBase[Indexed[Any]] | None = None
        self._end: Callable[[], None] | None = None

    def hold(self, source: Observable[Indexed[Any]]) -> Observable[Indexed[Any]]:
        """Pass on the items of a source when the gate is open."""

        def subscribe(
            observer: abc.ObserverBase[Indexed[Any]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._observer = observer
            calling = CallingObserver(
                self._on_next,
                lambda error: self._on_end(partial(observer.on_error, error)),
                lambda: self._on_end(observer.on_completed),
            )
            return source.subscribe(calling, scheduler=scheduler)

        return Direct(subscribe)

    def open(self) -> None:
        """Pass on what was held, and from now on everything at once."""
        run, held = self._run, self._held
        while held and not run.stopped:
            if run.turn.is_spent():
                run.loop.call_soon(self.open)
                return
            self._pass_on(held.popleft())
        self._is_open = True
        if self._end is not None and not run.stopped:
            self._end()

    def _on_next(self, item: Indexed[Any]) -> None:
        if self._is_open:
            self._pass_on(item)
        else:
            self._held.append(item)

    def _on_end(self, signal: Callable[[], None]) -> None:
        self._end = signal
        if self._is_open:
            signal()

    def _pass_on(self, item: Indexed[Any]) -> None:
        if self._observer is not None:
            self._observer.on_next(item)
