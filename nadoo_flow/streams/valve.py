"""The valve: drains all runs that were given it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from weakref import WeakSet

from .._support.checks import check_non_negative_number, describe_value
from .begun import Begun
from .subscription import Subscription


class Valve:
    """Drains the runs that get it as ``valve=``: they start nothing more and finish their work.

    One valve may be given to any number of runs, at the same time and one after the other. When it
    is closed, runs that get it later end without having pulled anything.

    Example:
        >>> valve = Valve()
        >>> async def main():
        ...     asyncio.get_running_loop().call_later(2.5, valve.drain)  # or as a signal's handler
        ...     return await BatchProcessor(asyncio.sleep, 1, valve=valve).batch([1] * 1000)
        >>> len(asyncio.run(main()))
        3
    """

    def __init__(self) -> None:
        self._runs: WeakSet[Subscription] = WeakSet()
        self._lock = threading.Lock()
        self._is_closed = False

    def __repr__(self) -> str:
        from .._support.text import format_count

        state = "closed" if self._is_closed else "open"
        return f"<{type(self).__name__}: {state}, {format_count(len(self._runs), 'run')}>"

    @property
    def closed(self) -> bool:
        """Whether it has been drained, so that no run with it starts anything."""
        return self._is_closed

    def drain(self, timeout: float | None = None) -> Begun[int]:
        """Close the valve: no run pulls or starts another item, and each ends with its work.

        What a run has started is finished and delivered as usual. This takes effect at the call,
        which may come from any thread and may be repeated; a later call may only bring the timeout
        forward. To await what it returns is left to the caller, so that it can be the handler of a
        signal: ``loop.add_signal_handler(signal.SIGTERM, valve.drain)``.

        Args:
            timeout: Seconds after which what is still in work is cancelled. What has been finished
                by then is delivered. No limit by default.

        Returns:
            A coroutine that waits until the runs of the event loop that awaits it have ended. It
            returns how many items were cancelled.

        Raises:
            RuntimeError: From the coroutine, if a node of such a run awaits it, for which the run
                waits in turn.
        """
        timeout = check_timeout(timeout)
        with self._lock:
            self._is_closed = True
            runs = [run for run in self._runs if not run.finished]
        for run in runs:
            begin_draining(run, timeout)
        return Begun(partial(_wait_for_all, runs))

    def _add(self, run: Subscription) -> None:
        """Have a run drained with the others, or at once if the valve is closed."""
        with self._lock:
            self._runs.add(run)
            is_closed = self._is_closed
        run.draining.call_at_end(partial(self._remove, run))
        if is_closed:
            run.drain()

    def _remove(self, run: Subscription) -> None:
        with self._lock:
            self._runs.discard(run)


def check_valve(value: object) -> Valve | None:
    """Return a valve, or None, unchanged.

    Args:
        value: The argument of the user.

    Raises:
        TypeError: If it is neither.
    """
    if value is None or isinstance(value, Valve):
        return value
    raise TypeError(f"valve must be a Valve, got {describe_value(value)}")


def check_timeout(value: object) -> float | None:
    """Return the timeout of a drain as a number, or None."""
    return None if value is None else check_non_negative_number(value, "timeout")


def begin_draining(run: Subscription, timeout: float | None) -> None:
    """Drain a run, from any thread."""
    if asyncio._get_running_loop() is run.loop:
        run.drain(timeout)
        return
    with suppress(RuntimeError):  # its loop is closed, and so it has ended
        run.loop.call_soon_threadsafe(run.drain, timeout)


async def wait_for_drained(run: Subscription) -> int:
    """Wait until a drained run has ended, and return how many items of it were cancelled.

    Raises:
        RuntimeError: If the caller is a part of the run, or runs on another event loop.
    """
    if run.is_around_caller() and not run.finished:
        raise RuntimeError("the end of a run cannot be awaited by one of its own nodes")
    return await run.draining.wait()


async def _wait_for_all(runs: list[Subscription]) -> int:
    loop = asyncio.get_running_loop()
    return sum([await wait_for_drained(run) for run in runs if run.loop is loop])
