"""Threads that call functions for an event loop, and never keep the program from ending."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

GRACE = 5.0
"""Seconds that the end of a run waits for threads that are busy with cancelled calls."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _ThreadCall:
    fn: Callable[[Any], Any]
    value: Any
    context: Context
    future: asyncio.Future[Any]


class ThreadPool:
    """Calls functions in threads, each in the context of its caller.

    A thread is started for a call if none is idle. They are daemons: one that never ends must not
    keep the interpreter from exiting. Everything but the work of the threads belongs to the loop.

    Args:
        max_workers: Most threads; as many as there are calls at a time by default.
    """

    def __init__(self, max_workers: int | None) -> None:
        self._max_workers = max_workers
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[_ThreadCall | None] = SimpleQueue()
        self._waiting: dict[_ThreadCall, None] = {}
        self._threads = 0
        self._busy = 0
        self._idle: asyncio.Future[None] | None = None

    async def call(self, fn: Callable[[Any], Any], value: Any) -> Any:
        """Call a function and return what it returns.

        A call that is cancelled before its thread has begun with it is not made; one that has begun
        goes on, and its result is dropped.
        """
        call = _ThreadCall(fn, value, copy_context(), self._loop.create_future())
        try:
            if self._max_workers is None or self._busy < self._max_workers:
                self._begin(call)
            else:
                self._waiting[call] = None
            return await call.future
        finally:
            self._waiting.pop(call, None)
            # Or the traceback of a failure would keep the context, and with it the whole run.
            del call

    async def stop(self) -> None:
        """End all threads, and wait for those that are busy, but not for long."""
        for call in self._waiting:
            call.future.cancel()
        self._waiting.clear()
        for _ in range(self._threads):
            self._calls.put(None)
        if self._busy:
            self._idle = self._loop.create_future()
            done, _ = await asyncio.wait([self._idle], timeout=GRACE)
            if not done:
                _log.warning("a thread is still busy with an item that was cancelled")

    def _begin(self, call: _ThreadCall) -> None:
        if self._busy == self._threads:
            work = partial(_work, self._calls, self._report)
            name = f"nadoo_flow-{self._threads + 1}"
            try:
                threading.Thread(target=work, name=name, daemon=True).start()
            except RuntimeError as error:  # the system allows no more threads
                call.future.set_exception(error)
                return
            self._threads += 1
        self._busy += 1
        self._calls.put(call)

    def _report(self, call: _ThreadCall, result: Any, error: BaseException | None) -> None:
        """Hand the result of a call over to the loop; called in a thread."""
        with suppress(RuntimeError):  # the loop may be closed
            self._loop.call_soon_threadsafe(self._end, call, result, error)

    def _end(self, call: _ThreadCall, result: Any, error: BaseException | None) -> None:
        self._busy -= 1
        while self._waiting and self._busy < self._threads:
            following = next(iter(self._waiting))
            del self._waiting[following]
            if not following.future.done():
                self._begin(following)
        if not self._busy and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        if call.future.done():
            return
        if error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(error)


def _work(
    calls: SimpleQueue[_ThreadCall | None],
    report: Callable[[_ThreadCall, Any, BaseException | None], None],
) -> None:
    while (call := calls.get()) is not None:
        if call.future.cancelled():
            report(call, None, None)
            continue
        try:
            result = call.context.run(call.fn, call.value)
        except StopIteration as error:  # a future would not take it
            stray = RuntimeError("the function raised StopIteration")
            stray.__cause__ = error
            report(call, None, stray)
        except BaseException as error:
            report(call, None, error)
        else:
            report(call, result, None)
        # What is kept here while the thread is idle would keep the item alive.
        call = result = None
