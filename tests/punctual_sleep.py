"""Makes ``asyncio.sleep`` punctual in what a kernel runs: it is executed there before a notebook.

Sleepers wake in the order of the times that they asked for, as on a machine without other work,
also where this one is so busy that several times have passed at once.
"""

import asyncio
import heapq
import threading
from itertools import count
from typing import Any

TURNS = 20
"""Turns of the loop for what has woken to go on, and to sleep again, before the next one wakes."""

_sleep = asyncio.sleep
_numbers = count()
_sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
_now = 0.0


async def sleep(delay: float, result: Any = None) -> Any:
    """Sleep, and wake after everyone whose time is earlier."""
    global _now
    # The kernel has loops of its own in other threads, which must not wake those of this one.
    if delay <= 0 or threading.current_thread() is not threading.main_thread():
        return await _sleep(delay, result)
    loop = asyncio.get_running_loop()
    if not _sleepers:
        loop.call_soon(_wake_next, loop, 0)
    if not _sleepers or _sleepers[0][0] > loop.time():
        _now = loop.time()  # no one is late
    woken: asyncio.Future[None] = loop.create_future()
    heapq.heappush(_sleepers, (_now + delay, next(_numbers), woken))
    await woken
    return result


def _wake_next(loop: asyncio.AbstractEventLoop, turns: int) -> None:
    global _now
    if turns:
        loop.call_soon(_wake_next, loop, turns - 1)
        return
    due, _, woken = _sleepers[0]
    if loop.time() < due:
        # Someone may ask for an earlier time meanwhile.
        loop.call_at(min(due, loop.time() + 0.005), _wake_next, loop, 0)
        return
    _now = due
    if not woken.done():
        woken.set_result(None)
        loop.call_soon(_wake_next, loop, TURNS)
        # It stays where it is, so that who sleeps again meanwhile starts from its time.
        heapq.heapreplace(_sleepers, (due, -1, woken))
        return
    heapq.heappop(_sleepers)
    if _sleepers:
        _wake_next(loop, 0)


asyncio.sleep = sleep
