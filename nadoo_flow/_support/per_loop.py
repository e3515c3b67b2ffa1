"""One value for each event loop, for objects that several threads may share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# One for all objects, because an object that holds a lock could not be copied.
_adding = threading.Lock()


class PerLoop(Generic[T]):
    """Keeps one value for each event loop until that loop is closed.

    Any number of threads may ask at the same time, each on the loop that runs in it.
    """

    def __init__(self) -> None:
        # Replaced by each addition and never changed, so that reading needs no lock.
        self._values: dict[asyncio.AbstractEventLoop, T] = {}

    def get(self, make: Callable[[], T]) -> T:
        """Return the value of the running event loop, and make it at the first call there."""
        loop = asyncio.get_running_loop()
        try:
            return self._values[loop]
        except KeyError:
            value = make()
        with _adding:
            alive = {old: kept for old, kept in self._values.items() if not old.is_closed()}
            self._values = {**alive, loop: value}
        return value

    def list_alive(self) -> list[T]:
        """Return the values of the loops that are not closed."""
        return [value for loop, value in self._values.items() if not loop.is_closed()]

    def __len__(self) -> int:
        return len(self._values)

    def __reduce__(self) -> tuple[type[PerLoop[T]], tuple[()]]:
        # Loops cannot be pickled, and a copy may be used on other ones.
        return PerLoop, ()
