"""Rx operators that are put into an OperatorNode, and what Rx itself makes of a list with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.scheduler import ImmediateScheduler

from .values import key_of

Operator: TypeAlias = Callable[[Observable[Any]], Observable[Any]]


def _zipped(source: Observable[Any]) -> Observable[Any]:
    return rx.zip(source, source.pipe(ops.skip(1)))


def _retried(source: Observable[Any]) -> Observable[Any]:
    """Map with a function that fails once, and try again."""
    failed: list[int] = []

    def flaky(value: Any) -> Any:
        if key_of(value) % 3 == 1 and not failed:
            failed.append(1)
            raise ValueError("planned")
        return value

    return source.pipe(ops.map(flaky), ops.retry(3))


def _from_thread(source: Observable[Any]) -> Observable[Any]:
    """Emit the first value from another thread, and wait for it."""

    def subscribe(
        observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        first = True

        def on_next(value: Any) -> None:
            nonlocal first
            if not first:
                observer.on_next(value)
                return
            first = False
            thread = threading.Thread(target=observer.on_next, args=(value,))
            thread.start()
            thread.join()

        return source.subscribe(on_next, observer.on_error, observer.on_completed)

    return Observable(subscribe)


def _both(value: Any) -> Observable[Any]:
    # At once: what is only scheduled is overtaken by an error of the source, as anywhere in Rx.
    return rx.from_iterable([value, value], scheduler=ImmediateScheduler.singleton())


def _raised(value: Any) -> Any:
    if key_of(value) % 5 == 3:
        raise LookupError("planned")
    return value


OPERATORS: dict[str, Callable[[], Operator]] = {
    "map": lambda: ops.map(lambda value: value),
    "filter": lambda: ops.filter(lambda value: key_of(value) % 2 == 0),
    "take": lambda: ops.take(2),
    "skip": lambda: ops.skip(1),
    "skip_last": lambda: ops.skip_last(1),
    "take_last": lambda: ops.take_last(2),
    "buffer": lambda: ops.buffer_with_count(2),
    "pairwise": ops.pairwise,
    "to_list": ops.to_list,
    "distinct": lambda: ops.distinct_until_changed(),
    "start_with": lambda: ops.start_with(7),
    "scan": lambda: ops.scan(lambda so_far, value: [*so_far, key_of(value)], []),
    "last": lambda: ops.last_or_default(9),
    "twice": lambda: ops.flat_map(_both),
    "raise": lambda: ops.map(_raised),
    "zip": lambda: _zipped,
    "repeat": lambda: ops.repeat(2),
    "retry": lambda: _retried,
    "shared_zip": lambda: ops.publish(mapper=_zipped),
    "replayed_retry": lambda: ops.replay(mapper=_retried),
    "from_thread": lambda: _from_thread,
}

RESUBSCRIBING = ("zip", "repeat", "retry")
"""Those that subscribe more than once."""


def piped_by_rx(
    names: tuple[str, ...], values: list[Any], error: Exception | None
) -> tuple[list[Any], Exception | None]:
    """Return what comes out when a list that ends with an error, if any, goes through by Rx."""
    source: Observable[Any] = rx.from_iterable(values)
    if error is not None:
        source = rx.concat(source, rx.throw(error))
    got: list[Any] = []
    errors: list[Exception] = []
    source.pipe(*(OPERATORS[name]() for name in names)).subscribe(got.append, errors.append)
    return got, errors[0] if errors else None
