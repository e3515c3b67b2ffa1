"""The signals of a source: what it emits and how it ends, each with its time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable
from typing import Any, Literal, NamedTuple, TypeAlias

from reactivex import Notification, Observable, abc
from reactivex.notification import OnError, OnNext

from .._support.checks import describe_value
from ..errors import describe_error
from ..streams import Source

Kind: TypeAlias = Literal["next", "error", "completed"]


class Signal(NamedTuple):
    """One signal of a source.

    Attributes:
        time: Seconds since it was subscribed to.
        kind: Whether it is an item, or an end.
        value: The item, or the error.
    """

    time: float
    kind: Kind
    value: Any = None

    def deliver(self, observer: abc.ObserverBase[Any]) -> None:
        """Send it to an observer."""
        if self.kind == "next":
            observer.on_next(self.value)
        elif self.kind == "error":
            observer.on_error(self.value)
        else:
            observer.on_completed()

    def matches(self, other: Signal, step: float, is_any_error: bool) -> bool:
        """Return whether another is the same, at the same time but for rounding."""
        if self.kind != other.kind or not math.isclose(
            self.time, other.time, rel_tol=1e-9, abs_tol=step * 1e-6
        ):
            return False
        if self.kind == "error":
            same = (type(self.value), self.value.args) == (type(other.value), other.value.args)
            return is_any_error or same
        return bool(self.value == other.value)

    def describe(self) -> str:
        """Describe it in one line."""
        what = "completed"
        if self.kind != "completed":
            what = repr(self.value) if self.kind == "next" else describe_error(self.value)
        return f"{self.time:.9g} s: {what}"


def make_signal(time: float, notification: Notification[Any]) -> Signal:
    """Make a signal of what Rx's parser of diagrams has found."""
    if isinstance(notification, OnNext):
        return Signal(time, "next", notification.value)
    if isinstance(notification, OnError):
        return Signal(time, "error", notification.exception)
    return Signal(time, "completed")


async def watch(source: Source[Any], seconds: float) -> list[Signal]:
    """Collect the signals of a source until it ends, and leave it after some time.

    An error that it raises as it is left is one of its signals too.

    Args:
        source: An Observable or an async iterable.
        seconds: How long it is watched.

    Raises:
        TypeError: If it is neither.
    """
    log = _Log()
    if isinstance(source, Observable):
        with source.subscribe(log):
            await asyncio.wait([log.ended], timeout=seconds)
    elif isinstance(source, AsyncIterable):
        await _iterate(source, seconds, log)
    else:
        raise TypeError(
            f"source must be an Observable or an async iterable, got {describe_value(source)}"
        )
    return log.signals


class _Log(abc.ObserverBase[Any]):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begin = self._loop.time()
        self.signals: list[Signal] = []
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def on_next(self, value: Any) -> None:
        self._note("next", value)

    def on_error(self, error: Exception) -> None:
        self._note("error", error)
        self.ended.set_result(None)

    def on_completed(self) -> None:
        self._note("completed")
        self.ended.set_result(None)

    def _note(self, kind: Kind, value: Any = None) -> None:
        # What is left of sums of floats would only make the texts hard to read.
        seconds = round(self._loop.time() - self._begin, 9)
        self.signals.append(Signal(seconds, kind, value))


async def _iterate(source: AsyncIterable[Any], seconds: float, log: _Log) -> None:
    iterator = aiter(source)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            async for value in iterator:
                log.on_next(value)
            log.on_completed()
    except Exception as error:
        if not (limit.expired() and isinstance(error, TimeoutError)):
            log.on_error(error)
    finally:
        aclose = getattr(iterator, "aclose", None)
        if aclose is not None:
            await aclose()
