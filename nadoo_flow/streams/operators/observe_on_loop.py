"""The operator that moves signals from any thread to that of the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc

from ..loop_thread import call_soon, is_running_in
from ..subscription import Subscription

T = TypeVar("T")

_Signal: TypeAlias = "tuple[Callable[..., None], tuple[Any, ...]]"


def observe_on_loop(run: Subscription, margin: int = 0) -> Callable[[Observable[T]], Observable[T]]:
    """Pass signals on one after the other, in the thread of the loop, in the order of the calls.

    A signal that is emitted in that thread passes at once, unless others are waiting or being
    passed on. An item counts as outstanding when it is emitted in that thread, or arrives there
    from another one. An error of the observer fails the run.

    Args:
        run: The run that the operator belongs to.
        margin: Places that items leave free in the window of the run, by waiting here and not
            counting until there is one more. With 0 they do not wait.
    """

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            relay = _Relay(run, observer, margin)
            if margin:
                run.add_taker(relay.take_places)
            upstream = source.subscribe(relay, scheduler=scheduler)
            relay.open()
            return upstream

        return Observable(subscribe)

    return operator


class _Relay(abc.ObserverBase[T], Generic[T]):
    def __init__(self, run: Subscription, observer: abc.ObserverBase[T], margin: int) -> None:
        self._run = run
        self._observer = observer
        self._margin = margin
        self._context = copy_context()
        self._signals: deque[_Signal] = deque()
        # As if passing, until subscribe() is about to return, because that must not emit anything.
        self._passing = True
        self._lock = threading.Lock()
        self._awake = False

    def open(self) -> None:
        """Begin to pass signals on."""
        self._passing = False
        if self._signals:
            self._wake(partial(call_soon, self._run))

    def on_next(self, value: T) -> None:
        run, signals = self._run, self._signals
        if asyncio._get_running_loop() is not run.loop:
            self._send_home(self._arrive, value)
            return
        if self._margin:
            self._send(self._arrive, value)
            return
        run.outstanding += 1
        if signals or self._passing:
            self._send(self._observer.on_next, value)
            return
        # The same as _send(), without the queue that would cost time for each item.
        self._passing = True
        try:
            self._observer.on_next(value)
        except BaseException as error:
            run.fail(error)
        finally:
            self._passing = False
        if signals:
            self._pass_on()

    def on_error(self, error: Exception) -> None:
        self._end(self._observer.on_error, error)

    def on_completed(self) -> None:
        self._end(self._observer.on_completed)

    def _end(self, signal: Callable[..., None], *arguments: Any) -> None:
        send = self._send if is_running_in(self._run.loop) else self._send_home
        send(signal, *arguments)

    def _arrive(self, value: T) -> None:
        self._run.outstanding += 1
        self._observer.on_next(value)

    def _send(self, signal: Callable[..., None], *arguments: Any) -> None:
        self._signals.append((signal, arguments))
        if not self._passing:
            self._pass_on()

    def _send_home(self, signal: Callable[..., None], *arguments: Any) -> None:
        self._signals.append((signal, arguments))
        self._wake(partial(call_soon, self._run))

    def _wake(self, call_later: Callable[[Callable[[], None]], object]) -> None:
        with self._lock:
            if not self._awake:
                # Before _awake is set, because it raises if the loop is closed.
                call_later(self._on_wake)
                self._awake = True

    def _on_wake(self) -> None:
        with self._lock:
            self._awake = False
        self._pass_on()

    def take_places(self) -> None:
        """Pass on what has waited for a place in the window, because items were settled."""
        if self._signals and not self._passing:
            # The caller may be the consumer, or another item.
            self._context.run(self._pass_on)

    def _has_to_wait(self, signal: _Signal) -> bool:
        run, margin = self._run, self._margin
        if not margin or run.outstanding < run.window - margin:
            return False
        return signal[0] == self._arrive

    def _pass_on(self) -> None:
        run, signals = self._run, self._signals
        turn, time = run.turn, run.turn.time
        self._passing = True
        try:
            while signals:
                if time() >= turn.ends and turn.is_spent():
                    self._wake(turn.call_later)
                    break
                if self._has_to_wait(signals[0]):
                    break
                signal, arguments = signals.popleft()
                signal(*arguments)
        except BaseException as error:
            run.fail(error)
        finally:
            self._passing = False
