"""The operator ``map``, for functions of the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from ..direct import CallingObserver, Direct

T = TypeVar("T")
R = TypeVar("R")


def map_directly(function: Callable[[T], R]) -> Callable[[Observable[T]], Observable[R]]:
    """Emit what a function makes of each item, without the guard that Rx puts around an observer.

    Args:
        function: It must not raise.
    """

    def operator(source: Observable[T]) -> Observable[R]:
        def subscribe(
            observer: abc.ObserverBase[R], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            emit = observer.on_next

            def on_next(item: T) -> None:
                emit(function(item))

            mapping = CallingObserver(on_next, observer.on_error, observer.on_completed)
            return source.subscribe(mapping, scheduler=scheduler)

        return Direct(subscribe)

    return operator
