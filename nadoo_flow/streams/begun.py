"""Coroutines for what has begun already, and goes on whether or not it is awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Begun(Coroutine[Any, Any, T], Generic[T]):
    """Waits for the end of what has begun; unlike other coroutines it may be left unawaited.

    So the function that returns it can be the handler of a signal.

    Args:
        wait: Waits for the end.
    """

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._wait = wait
        self._waiting: Coroutine[Any, Any, T] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._start().__await__()

    def send(self, value: Any) -> Any:
        """Step the waiting."""
        return self._start().send(value)

    def throw(
        self,
        error: Any,
        value: Any = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        """Throw an exception into the waiting."""
        return self._start().throw(error if value is None else value)

    def close(self) -> None:
        """Wait no longer."""
        if self._waiting is not None:
            self._waiting.close()

    def _start(self) -> Coroutine[Any, Any, T]:
        if self._waiting is None:
            self._waiting = self._wait()
        return self._waiting
