"""Restores index order where order can be seen."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from reactivex import Observable, abc

from ..direct import Direct, Indexed

T = TypeVar("T")

_SKIPPED: Any = object()


class InOrder(abc.ObserverBase[Indexed[T]], Generic[T]):
    """Holds items back until all before them have arrived or were dropped.

    What is held stays outstanding in its run, so it can never exceed the run's window. It belongs
    to one run and one subscription.
    """

    def __init__(self) -> None:
        self._held: dict[int, T] = {}
        self._next = 0
        self._observer: abc.ObserverBase[Indexed[T]] | None = None

    def skip(self, index: int) -> None:
        """Learn that an item was dropped and will not arrive."""
        self._arrive(index, _SKIPPED)

    def operator(self, source: Observable[Indexed[T]]) -> Observable[Indexed[T]]:
        """Emit the items of a source in the order of their indexes."""

        def subscribe(
            observer: abc.ObserverBase[Indexed[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._observer = observer
            return source.subscribe(self, scheduler=scheduler)

        return Direct(subscribe)

    def on_next(self, indexed: Indexed[T]) -> None:
        if self._held or indexed[0] != self._next or self._observer is None:
            self._arrive(*indexed)
        else:
            self._next += 1
            self._observer.on_next(indexed)

    def on_error(self, error: Exception) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.on_error(error)

    def on_completed(self) -> None:
        # What has not arrived by now was dropped by a stage that did not say so.
        held, self._held = self._held, {}
        if self._observer is not None:
            for index in sorted(held):
                if held[index] is not _SKIPPED:
                    self._observer.on_next((index, held[index]))
            self._observer.on_completed()

    def _arrive(self, index: int, value: T) -> None:
        held, observer = self._held, self._observer
        if index < self._next or index in held:
            self.on_error(
                RuntimeError(
                    f"two items have the index {index}; a stage whose operator makes other items "
                    "of those that it gets must set needs_order and number them from 0"
                )
            )
            return
        held[index] = value
        while self._next in held:
            index = self._next
            value = held.pop(index)
            self._next += 1
            if observer is not None and value is not _SKIPPED:
                observer.on_next((index, value))
