"""The operator that ends what does not end by itself when a drained run is cut short."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc

from ..direct import CallingObserver, Direct
from ..draining import DrainPart
from ..subscription import Subscription

T = TypeVar("T")


def end_when_cut(run: Subscription) -> Callable[[Observable[T]], Observable[T]]:
    """Emit the end of operators that may be anyone's, when the work before them is cancelled.

    It costs nothing for an item.

    Args:
        run: The run that the operators belong to.
    """

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            ending = _Ending(observer)
            run.draining.add_part(ending)
            upstream = source.subscribe(
                CallingObserver(
                    observer.on_next,
                    lambda error: ending.end(partial(observer.on_error, error)),
                    lambda: ending.end(observer.on_completed),
                ),
                scheduler=scheduler,
            )
            ending.upstream = upstream
            return upstream

        return Direct(subscribe)

    return operator


class _Ending(DrainPart):
    """Signals the end once."""

    def __init__(self, observer: abc.ObserverBase[T]) -> None:
        self._observer = observer
        self._has_ended = False
        self.upstream: abc.DisposableBase | None = None

    def end(self, signal: Callable[[], None]) -> None:
        """Signal the end, unless that was done."""
        if not self._has_ended:
            self._has_ended = True
            signal()

    def end_cut(self) -> None:
        if self._has_ended:
            return
        if self.upstream is not None:
            self.upstream.dispose()
        self.end(self._observer.on_completed)
