"""A limit on concurrency that any number of nodes, runs and nestings share."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress

from .._support.checks import check_positive_int

# Event loops in several threads may use one limit in turns, and the loop in use must not change
# while the first permit is taken or the last one given back. Between these it cannot change. One
# lock for all limits, since a limit with a lock of its own could not be copied. Reentrant, because
# the garbage collector may end the holder of a permit at any point.
_changing = threading.RLock()


class ConcurrencyLimit:
    """A number of permits, handed out in the order in which they are asked for.

    Give it to ``limit(...)``. One object may be shared by any number of nodes, nested stages,
    pipelines and simultaneous runs on one event loop.

    Args:
        max_concurrency: Most executions at a time, over all that share it.

    Attributes:
        in_use: Permits that are held at the moment.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> shared = ConcurrencyLimit(4)
        >>> upper, lower = (FunctionNode(fn).pipe(limit(shared)) for fn in (str.upper, str.lower))
        >>> asyncio.run(BatchProcessor(upper | lower, max_concurrency=100).batch(["A"])).outputs
        ['a']
    """

    def __init__(self, max_concurrency: int) -> None:
        self._size = check_positive_int(max_concurrency, "max_concurrency")
        self.in_use = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def size(self) -> int:
        """How many permits there are at the moment."""
        return self._size

    @property
    def waiting(self) -> int:
        """How many executions wait for a permit at the moment."""
        return sum(not waiter.done() for waiter in tuple(self._waiters))

    async def acquire(self) -> None:
        """Wait for a permit.

        Raises:
            RuntimeError: If it is in use on another event loop.
        """
        if self._take(asyncio.get_running_loop()):
            return
        waiter = self._queue()
        try:
            await waiter
        except BaseException:
            if not was_handed_over(waiter):
                self._leave(waiter)
            elif not waiter.get_loop().is_closed():  # or the permit has been forgotten
                self.release()
            raise

    def _is_plain(self) -> bool:
        """Return whether permits are taken as this class does it."""
        acquire = getattr(self.acquire, "__func__", None)
        is_inherited = acquire is ConcurrencyLimit.acquire
        return is_inherited and type(self).size is ConcurrencyLimit.size

    def _take(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Take a permit on the running loop, if there is one and no other caller waits."""
        if self.in_use and self._loop is loop:
            return self._take_free()
        with _changing:
            self._bind(loop)
            return self._take_free()

    def _take_free(self) -> bool:
        free = self.in_use < self.size and not self._waiters
        self.in_use += free
        return free

    def _queue(self) -> asyncio.Future[None]:
        """Join the queue; the future is done when a permit is handed over."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def _leave(self, waiter: asyncio.Future[None]) -> None:
        """Leave the queue."""
        with suppress(ValueError):  # it may have been passed over already
            self._waiters.remove(waiter)

    def release(self) -> None:
        """Give a permit back.

        Raises:
            RuntimeError: If none is in use, since there would be one more from then on.
        """
        if self.in_use > 1 and not self._waiters:
            self.in_use -= 1
            return
        with _changing:
            self._give_back()

    def _give_back(self) -> None:
        if self.in_use < 1:
            raise RuntimeError("release() gives back a permit, and none is in use")
        self.in_use -= 1
        if self._waiters:
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiters and self.in_use < self.size:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        if self._loop is not None and self.in_use and not self._loop.is_closed():
            raise RuntimeError("the limit is in use on another event loop; make one for each loop")
        self._loop = loop
        self.in_use = 0
        self._waiters.clear()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._size}, in_use={self.in_use})"


def was_handed_over(waiter: asyncio.Future[None]) -> bool:
    """Return whether a caller that is cancelled or closed in the queue has got its permit."""
    return waiter.done() and not waiter.cancelled()
