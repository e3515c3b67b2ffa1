"""Updates: the stream of snapshots that an open page gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from .._support.clock import get_clock

INTERVAL = 0.25
"""Seconds between two snapshots."""

LIFETIME = 10.0
"""Seconds after which a stream ends and its page opens another.

A server that is to stop waits for the streams that are open.
"""


class Updates:
    """Takes snapshots while there are pages that ask for them, and shares them between the pages.

    Args:
        take: Takes a snapshot.

    Attributes:
        open_pages: How many streams are open.
    """

    def __init__(self, take: Callable[[], dict[str, Any]]) -> None:
        self._take = take
        self._latest = b""
        self._taken = float("-inf")
        self._ends = 0
        self.open_pages = 0

    def end_streams(self) -> None:
        """End the streams that are open at their next update."""
        self._ends += 1

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield server-sent events: a snapshot whenever it has changed.

        A page that does not read is sent nothing more, and then the latest snapshot.
        """
        sent, begun = b"", self._ends
        time = get_clock(asyncio.get_running_loop())
        ends = time() + LIFETIME
        self.open_pages += 1
        try:
            yield b"retry: 250\n\n"
            while self._ends == begun and time() < ends:
                latest = self._read_latest(time())
                if latest != sent:
                    sent = latest
                    yield latest
                await asyncio.sleep(INTERVAL)
            if self._ends != begun:  # the page keeps what it shows when the server is gone
                yield self._encode()
        finally:
            self.open_pages -= 1

    def _read_latest(self, now: float) -> bytes:
        # Pages on another event loop may have another clock.
        if abs(now - self._taken) >= INTERVAL:
            self._taken = now
            self._latest = self._encode()
        return self._latest

    def _encode(self) -> bytes:
        # As ASCII it has no line breaks that would end the event.
        text = json.dumps(self._take(), allow_nan=False, separators=(",", ":"))
        return f"data: {text}\n\n".encode()
