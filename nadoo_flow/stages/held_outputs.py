"""Recorded outputs on their way to the disk, which go no further before they are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from reactivex import abc

from ..checkpoint import Journal, Request
from ..streams import CallingObserver, Direct, Indexed, Subscription
from .fusion import Items, Operator
from .indexes import OutputIndex, get_source_index


class RecordedOutput(NamedTuple):
    """An output on its way.

    Attributes:
        path: Identifies it.
        value: The output.
        written: Done when its record is on the disk; None if it comes from there.
    """

    path: str
    value: Any
    written: Request | None


def hold_until_written(run: Subscription, journal: Journal) -> Operator:
    """Emit each output when its record is on the disk.

    Outputs that are held stay outstanding, so there are never more than the window of the run.
    """

    def operator(source: Items) -> Items:
        def subscribe(
            observer: abc.ObserverBase[Indexed[Any]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            held = _Held(run, observer)
            journal.call_when_written(held.emit_written)
            calling = CallingObserver[Indexed[Any]](
                held.on_next,
                lambda error: held.end(partial(observer.on_error, error)),
                lambda: held.end(observer.on_completed),
            )
            return source.subscribe(calling, scheduler=scheduler)

        return Direct(subscribe)

    return operator


class _Held:
    """Outputs whose records are on their way to the disk."""

    def __init__(self, run: Subscription, observer: abc.ObserverBase[Indexed[Any]]) -> None:
        self._run = run
        self._observer = observer
        self._outputs: deque[Indexed[RecordedOutput]] = deque()
        self._signal: Callable[[], None] | None = None
        self._is_emitting = False
        # Records are written in the context of whichever item comes first.
        self._context = copy_context()

    def on_next(self, indexed: Indexed[RecordedOutput]) -> None:
        self._outputs.append(indexed)
        self.emit_written()

    def end(self, signal: Callable[[], None]) -> None:
        """Signal the end behind the outputs."""
        self._signal = signal
        self.emit_written()

    def emit_written(self) -> None:
        """Emit what is on the disk, for as long as the turn of the loop has time."""
        if not self._is_emitting:  # or the observer has made room for another output
            self._context.run(self._emit_all)

    def _emit_all(self) -> None:
        run, outputs = self._run, self._outputs
        self._is_emitting = True
        while outputs and not run.stopped and _is_written(outputs[0]):
            if run.turn.is_spent():
                run.loop.call_soon(self._go_on)
                return
            index, (path, value, _) = outputs.popleft()
            self._emit((OutputIndex(index, get_source_index(index), path), value))
        self._is_emitting = False
        if self._signal is not None and not outputs and not run.stopped:
            signal, self._signal = self._signal, None
            signal()

    def _go_on(self) -> None:
        self._is_emitting = False
        self.emit_written()

    def _emit(self, indexed: Indexed[Any]) -> None:
        try:
            self._observer.on_next(indexed)
        except BaseException as error:
            self._run.fail_fatally(error)


def _is_written(indexed: Indexed[RecordedOutput]) -> bool:
    """Return whether the record of an output is on the disk."""
    written = indexed[1].written
    return written is None or written.is_done
