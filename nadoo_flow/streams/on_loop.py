"""Brings signals that come from other threads back to the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from .subscription import Subscription

T = TypeVar("T")


def on_loop(run: Subscription) -> Callable[[Observable[T]], Observable[T]]:
    """Pass signals on at once in the loop's own thread, and through the loop from any other."""
    loop, home = run.loop, threading.get_ident()

    def here(signal: Callable[..., None]) -> Callable[..., None]:
        def send(*value: object) -> None:
            if threading.get_ident() == home:
                signal(*value)
            else:
                loop.call_soon_threadsafe(signal, *value)

        return send

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return source.subscribe(
                here(observer.on_next),
                here(observer.on_error),
                here(observer.on_completed),
                scheduler=scheduler,
            )

        return Observable(subscribe)

    return operator
