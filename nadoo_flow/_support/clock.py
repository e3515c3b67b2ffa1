"""The clock of an event loop, by which the whole package keeps time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


def get_clock(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the clock of a loop; if the loop has virtual time, so has the clock."""
    # A standard loop's time() only calls monotonic(), and that extra call would be paid per item.
    return monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time
