"""The operator that sends each item through one of several others."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable

from ..direct import CallingObserver, Direct, Indexed

Name = TypeVar("Name", bound=Hashable)

Operator: TypeAlias = Callable[[Observable[Indexed[Any]]], Observable[Indexed[Any]]]


def split(operators: Mapping[Name, Operator]) -> Operator:
    """Send each item through the operator that it names, and emit what all of them emit.

    The items that come in are pairs of a name and a value, with their indexes. The end of the
    source, by completion or by an error, goes on when all operators have passed it on.

    Args:
        operators: The operators by their names, among which must be that of each item.
    """

    def operator(source: Observable[Indexed[Any]]) -> Observable[Indexed[Any]]:
        def subscribe(
            observer: abc.ObserverBase[Indexed[Any]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            feeds = {name: _Feed() for name in operators}
            left, end = len(feeds), observer.on_completed

            def on_operator_ended(error: Exception | None = None) -> None:
                nonlocal left, end
                left -= 1
                if error is not None:
                    end = _make_end(observer, error)
                if not left:
                    end()

            def on_next(indexed: Indexed[Any]) -> None:
                index, (name, value) = indexed
                feeds[name].observer.on_next((index, value))

            def on_error(error: Exception) -> None:
                for feed in feeds.values():
                    feed.observer.on_error(error)

            def on_completed() -> None:
                for feed in feeds.values():
                    feed.observer.on_completed()

            outputs = CallingObserver(observer.on_next, on_operator_ended, on_operator_ended)
            subscriptions = [
                operators[name](feed.items).subscribe(outputs, scheduler=scheduler)
                for name, feed in feeds.items()
            ]
            inputs = CallingObserver(on_next, on_error, on_completed)
            return CompositeDisposable(
                source.subscribe(inputs, scheduler=scheduler), *subscriptions
            )

        return Direct(subscribe)

    return operator


class _Feed:
    """What one operator gets.

    Attributes:
        items: What the operator subscribes to.
        observer: The observer of the operator.
    """

    observer: abc.ObserverBase[Indexed[Any]]

    def __init__(self) -> None:
        self.items: Observable[Indexed[Any]] = Direct(self._subscribe)

    def _subscribe(
        self, observer: abc.ObserverBase[Indexed[Any]], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self.observer = observer
        return CompositeDisposable()


def _make_end(observer: abc.ObserverBase[Any], error: Exception) -> Callable[[], None]:
    return lambda: observer.on_error(error)
