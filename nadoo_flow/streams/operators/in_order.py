"""The operator that restores the order of items by their indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc

from ..direct import Direct

T = TypeVar("T")

_SKIPPED: Any = object()


class InOrder(abc.ObserverBase[T], Generic[T]):
    """Holds items back until all before them have arrived or were dropped.

    Held items stay outstanding, so there are never more than the window of the run. An object
    belongs to one run and one subscription.

    Args:
        get_index: Returns the index of an item.
    """

    def __init__(self, get_index: Callable[[T], int]) -> None:
        self._get_index = get_index
        self._held: dict[int, T] = {}
        self._next = 0
        self._observer: abc.ObserverBase[T] | None = None

    def skip(self, index: int) -> None:
        """Do not wait for an item, because it was dropped.

        Args:
            index: The index of the item.
        """
        self._arrive(index, _SKIPPED)

    def operator(self, source: Observable[T]) -> Observable[T]:
        """Emit the items of a source in the order of their indexes.

        Args:
            source: Items in any order, each index once.
        """

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._observer = observer
            return source.subscribe(self, scheduler=scheduler)

        return Direct(subscribe)

    def on_next(self, item: T) -> None:
        """Hold an item back, or emit it and those that waited for it.

        Args:
            item: The item.
        """
        index = self._get_index(item)
        if self._held or index != self._next or self._observer is None:
            self._arrive(index, item)
        else:
            self._next += 1
            self._observer.on_next(item)

    def on_error(self, error: Exception) -> None:
        """Pass on the error, and nothing of what is held back.

        Args:
            error: The error.
        """
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.on_error(error)

    def on_completed(self) -> None:
        # An item that has not arrived by now was dropped without a call of skip().
        """Emit what is still held back, in order, and complete."""
        held, self._held = self._held, {}
        if self._observer is not None:
            for index in sorted(held):
                if held[index] is not _SKIPPED:
                    self._observer.on_next(held[index])
            self._observer.on_completed()

    def _arrive(self, index: int, item: T) -> None:
        held, observer = self._held, self._observer
        if index < self._next or index in held:
            self.on_error(
                RuntimeError(
                    f"two items have the index {index}; a stage whose operator makes other items "
                    "of those that it gets must set needs_order and number them from 0"
                )
            )
            return
        held[index] = item
        while self._next in held:
            item = held.pop(self._next)
            self._next += 1
            if observer is not None and item is not _SKIPPED:
                observer.on_next(item)
