"""Inputs of any kind as an Observable that emits only within the demand of its run."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from ..._support.checks import describe_value, is_list_like
from ..direct import Direct, Indexed
from ..subscription import Subscription
from .async_source import AsyncPump
from .hot_source import Buffering, HotSource
from .pump import Pump

T = TypeVar("T")

Source: TypeAlias = Iterable[T] | AsyncIterable[T] | Observable[T]
"""What a run takes its items from."""


def emit(
    run: Subscription, source: Source[T], buffering: Buffering | None = None
) -> Observable[Indexed[T]]:
    """Emit each input with its index, never more than the run's window ahead.

    The first item is emitted in a later turn of the loop than the subscription. An error of the
    source arrives as ``on_error``. A generator is closed when the run ends.

    Args:
        run: The run that the source belongs to.
        source: The inputs.
        buffering: The buffer for items that an Observable emits without demand.
    """

    def subscribe(
        observer: abc.ObserverBase[Indexed[T]], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        if isinstance(source, Observable):
            hot = HotSource(run, buffering or Buffering(), observer)
            return hot.connect(source, scheduler)
        if isinstance(source, AsyncIterable):
            async_pump = AsyncPump(run, source, observer)
            run.draining.add_part(async_pump)
            return Disposable(async_pump.dispose)

        def open_source() -> Iterator[T]:
            iterator = iter(source)
            if isinstance(iterator, Generator):
                run.add_cleanup(partial(pump.close, iterator))
            return iterator

        pump = Pump(run, open_source, observer)
        run.draining.add_part(pump)
        run.loop.call_soon(pump.pump)
        return Disposable(pump.stop)

    return Direct(subscribe)


def as_source(value: object, parameter: str) -> Source[Any]:
    """Return a collection of items as something that can be emitted.

    A second run over an iterator, which the first has exhausted, is an error and not an empty run.

    Args:
        value: The argument of the user.
        parameter: Its name, for the message.

    Raises:
        TypeError: If it is a single value (a mapping, a text), or cannot be iterated.
        ValueError: If it is a generator that has ended.
    """
    if isinstance(value, Observable):
        return value
    if isinstance(value, (GeneratorType, AsyncGeneratorType)):
        _refuse_ended(value, parameter)
    if isinstance(value, AsyncIterable):
        return _OneAsyncRun(value) if isinstance(value, AsyncIterator) else value
    if is_list_like(value) and not _is_frame(value):
        return _OneRun(value) if isinstance(value, Iterator) else value
    raise TypeError(
        f"{parameter} must be an iterable, async iterable or Observable of items, "
        f"got {describe_value(value)}{_hint_at_items(value, parameter)}"
    )


def _is_frame(value: object) -> bool:
    """Return whether a value is a data frame, which iterates over its columns."""
    return hasattr(type(value), "iterrows") or hasattr(type(value), "iter_rows")


def _hint_at_items(value: object, parameter: str) -> str:
    """Return a hint at what to pass where a value is no collection of items."""
    if isinstance(value, (Mapping, str, bytes, bytearray)):
        return f"; for a single one pass [{parameter}]"
    if _is_frame(value):
        rows = "to_dict('records')" if hasattr(type(value), "iterrows") else "to_dicts()"
        return f"; for its rows pass {parameter}.{rows}"
    if inspect.iscoroutine(value):
        value.close()
        return "; await it first"
    if inspect.isroutine(value):
        return f"; call it: {parameter}()"
    return ""


def _refuse_ended(generator: object, parameter: str) -> None:
    """Refuse a generator that has ended, out of which nothing would come."""
    frames = (getattr(generator, frame, ...) for frame in ("gi_frame", "ag_frame"))
    if None in frames:
        raise ValueError(
            f"{parameter} must give items, got {describe_value(generator)}, which has ended; "
            "pass a list, or make a new generator for each run"
        )


class _Once(Generic[T]):
    def __init__(self, iterator: T) -> None:
        self._unused = [iterator]

    def _take(self) -> T:
        try:
            # Atomic, because runs in several threads may take it at the same time.
            return self._unused.pop()
        except IndexError:
            raise RuntimeError(
                "the inputs are an iterator, which can be run only once; "
                "pass a list, or make a new iterator for each run"
            ) from None


class _OneRun(_Once[Iterator[T]], Iterable[T]):
    def __iter__(self) -> Iterator[T]:
        return self._take()


class _OneAsyncRun(_Once[AsyncIterator[T]], AsyncIterable[T]):
    def __aiter__(self) -> AsyncIterator[T]:
        return self._take()
