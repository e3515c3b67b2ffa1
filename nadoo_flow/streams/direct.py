"""The connection between the engine's own operators: items with their index, without a guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc

T = TypeVar("T")

Indexed: TypeAlias = tuple[int, T]
"""An item with its position in the source, by which its order can be restored."""


class Direct(Observable[T]):
    """An Observable that keeps the rules of Rx itself: silence after its end, and after dispose.

    Rx puts a guard between each observer and its source, which costs time for each item. An
    observer that subscribes here, as operators of the engine do, is called without the guard.
    Functions, with which Rx's own operators subscribe, are guarded as usual.
    """

    def subscribe(
        self,
        on_next: Any = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer as it is, or functions.

        Args:
            on_next: An observer, or a function that gets each item.
            on_error: A function that gets the error, if it ends by one.
            on_completed: A function that is called when it completes.
            scheduler: For operators that keep time; by default each has its own.
        """
        if isinstance(on_next, abc.ObserverBase):
            return self._subscribe_core(on_next, scheduler)
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)


class CallingObserver(abc.ObserverBase[T], Generic[T]):
    """Calls functions, without the guard that Rx puts around them.

    Args:
        on_next: Called with each item.
        on_error: Called with the error, if it ends by one.
        on_completed: Called when it completes.
    """

    __slots__ = ("_on_completed", "_on_error", "on_next")
    on_next: Callable[[T], None]  # type: ignore[assignment]  # not bound to this object

    def __init__(
        self,
        on_next: abc.OnNext[T],
        on_error: abc.OnError,
        on_completed: abc.OnCompleted,
    ) -> None:
        self.on_next = on_next  # saves a call for each item
        self._on_error = on_error
        self._on_completed = on_completed

    def on_error(self, error: Exception) -> None:
        """Pass on the error.

        Args:
            error: The error.
        """
        self._on_error(error)

    def on_completed(self) -> None:
        """Pass on the completion."""
        self._on_completed()
