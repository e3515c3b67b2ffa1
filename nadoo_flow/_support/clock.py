"""The clock that everything here keeps time by: that of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the clock of a loop, virtual where the loop's time is."""
    # The time() of a standard loop is this function behind a Python call, which is paid per item.
    return monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time
