"""The progress of the demo on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO


class ProgressLine:
    """Shows on a stream how many items are done: on a terminal in one line that is rewritten.

    Elsewhere (a file, a log) it writes a plain line every two seconds.

    Args:
        total: How many items there are.
        what: The items, in the plural.
        stream: The stream to write to; usually stderr.
        clock: Returns the seconds.
    """

    def __init__(
        self, total: int, what: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._what = what
        self._stream = stream
        self._clock = clock
        self._rewrites = stream.isatty()
        self._pause = 0.1 if self._rewrites else 2.0
        self._next_line = clock() + self._pause
        self._done = 0

    def advance(self) -> None:
        """Count one more, and show the count if it was not shown just now."""
        self._done += 1
        now = self._clock()
        if now < self._next_line:
            return
        self._next_line = now + self._pause
        line = f"{self._done:,} of {self._total:,} {self._what}"
        self._stream.write(f"\r{line}\x1b[K" if self._rewrites else f"{line}\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._rewrites:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
