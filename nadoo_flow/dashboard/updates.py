"""Updates: the stream of snapshots that an open page gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
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
        take: Takes a snapshot of what changes.
        describe_ended: Returns what describes each run that has ended. A page gets that once.

    Attributes:
        open_pages: How many streams are open.
    """

    def __init__(
        self,
        take: Callable[[], Mapping[str, Any]],
        describe_ended: Callable[[], Mapping[int, Callable[[], Mapping[str, Any]]]],
    ) -> None:
        self._take = take
        self._describe_ended = describe_ended
        self._latest = b""
        self._ended: dict[int, bytes] = {}
        self._taken = float("-inf")
        self._ends = 0
        self.open_pages = 0

    def end_streams(self) -> None:
        """End the streams that are open, each with a last update."""
        self._ends += 1

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield server-sent events: a snapshot whenever it has changed.

        A page that does not read is sent nothing more, and then the latest snapshot.
        """
        sent, begun = b"", self._ends
        known: set[int] = set()
        time = get_clock(asyncio.get_running_loop())
        ends = time() + LIFETIME
        self.open_pages += 1
        try:
            yield b"retry: 250\n\n"
            while True:
                is_to_stop = self._ends != begun
                is_last = is_to_stop or time() >= ends
                self._sample(time(), at_once=is_to_stop)
                latest, ended = self._latest, self._ended
                for number in ended.keys() - known:
                    yield ended[number]
                known = set(ended)
                if latest != sent:
                    sent = latest
                    yield latest
                if is_last:
                    return
                await asyncio.sleep(INTERVAL)
        finally:
            self.open_pages -= 1

    def _sample(self, now: float, *, at_once: bool) -> None:
        # Pages on another event loop may have another clock.
        if not at_once and abs(now - self._taken) < INTERVAL:
            return
        self._taken = now
        # A run that ends meanwhile, in another thread, is in the next snapshot.
        self._ended = {
            number: self._ended.get(number) or _encode("ended", describe())
            for number, describe in self._describe_ended().items()
        }
        self._latest = _encode("message", self._take())


def _encode(event: str, data: Mapping[str, Any]) -> bytes:
    # As ASCII it has no line breaks that would end the event.
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return f"event: {event}\ndata: {text}\n\n".encode()
