"""Restores index order where order can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc

from .pump import Indexed

T = TypeVar("T")

_SKIPPED: Any = object()


class InOrder(Generic[T]):
    """Holds items back until all before them have arrived or were dropped.

    What is held stays outstanding in its run, so it can never exceed the run's window.
    """

    def __init__(self) -> None:
        self._held: dict[int, T] = {}
        self._next = 0
        self._emit: Callable[[Indexed[T]], None] | None = None

    def skip(self, index: int) -> None:
        """Learn that an item was dropped and will not arrive."""
        self._arrive(index, _SKIPPED)

    def operator(self, source: Observable[Indexed[T]]) -> Observable[Indexed[T]]:
        """Emit the items of a source in the order of their indexes."""

        def subscribe(
            observer: abc.ObserverBase[Indexed[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._emit = observer.on_next
            return source.subscribe(
                lambda indexed: self._arrive(*indexed),
                observer.on_error,
                observer.on_completed,
                scheduler=scheduler,
            )

        return Observable(subscribe)

    def _arrive(self, index: int, value: T) -> None:
        held, emit = self._held, self._emit
        held[index] = value
        while self._next in held:
            index = self._next
            value = held.pop(index)
            self._next += 1
            if emit is not None and value is not _SKIPPED:
                emit((index, value))
