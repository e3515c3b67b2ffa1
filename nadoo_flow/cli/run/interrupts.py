"""The signals that end a run early: the first one drains it, Ctrl-C after that cancels it."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Interrupts:
    """Receives Ctrl-C and SIGTERM while a run is iterated over, in ``with``.

    A process that inherited a signal as ignored, as under ``nohup``, goes on ignoring it.

    Args:
        drain: Drains the run.
        count_in_work: Returns how many items are in work.

    Attributes:
        first: The signal that came first, if one came.
    """

    def __init__(self, drain: Callable[[], object], count_in_work: Callable[[], int]) -> None:
        self._drain = drain
        self._count_in_work = count_in_work
        self._replaced: dict[signal.Signals, Any] = {}
        self._is_cancelled = False
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self.first: signal.Signals | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals are received by the main thread alone
        for number in NAMES:
            replaced = signal.getsignal(number)
            if replaced is not signal.SIG_IGN:
                # A handler of the event loop could not interrupt a node that blocks the loop.
                signal.signal(number, self._receive)
                self._replaced[number] = replaced
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, replaced in self._replaced.items():
            signal.signal(number, replaced)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Act in the event loop, since the signal may have interrupted any code of the run."""
        if self.first is None:
            self.first = signal.Signals(number)
            self._loop.call_soon_threadsafe(self._begin_draining)
        elif number != signal.SIGINT:
            return
        elif not self._is_cancelled and self._task is not None:
            self._is_cancelled = True
            self._loop.call_soon_threadsafe(self._task.cancel)
        else:
            raise KeyboardInterrupt

    def _begin_draining(self) -> None:
        self._drain()
        # Lanes that have found nothing to do are gone in the turn after the next.
        self._loop.call_soon(self._loop.call_soon, self._announce)

    def _announce(self) -> None:
        in_work = self._count_in_work()
        if not in_work or self._is_cancelled:
            return
        again = " again" if self.first is signal.SIGINT else ""
        them = "it" if in_work == 1 else "them"
        # A terminal shows ^C, or a progress bar, in the line that it is in.
        start = "\n" if sys.stderr.isatty() else ""
        print(f"{start}{in_work:,} in work; Ctrl-C{again} to cancel {them}", file=sys.stderr)
