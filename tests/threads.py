"""Event loops in real threads, which do the same thing at the same time."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

SECONDS = 30.0
"""How long the threads may take in all."""


def in_loops(
    threads: int, rounds: int, use: Callable[[int], Coroutine[Any, Any, T]]
) -> list[list[T]]:
    """Await ``use(round)`` in the event loops of many threads, which begin each round together.

    Anywhere in the code of the package they let others in. What one raises fails the caller, and so
    does one that does not end.

    Returns:
        What it returned, for each round in the order of the threads.
    """
    barrier = threading.Barrier(threads, timeout=SECONDS)
    answers: list[list[T]] = [[] for _ in range(threads)]
    errors: list[BaseException] = []

    async def all_rounds(own: list[T]) -> None:
        for number in range(rounds):
            barrier.wait()
            own.append(await use(number))
        # A loop that is closed before hands on what it holds, and others may still begin the round.
        barrier.wait()

    def run(own: list[T]) -> None:
        sys.settrace(_let_others_in)
        try:
            asyncio.run(all_rounds(own))
        except threading.BrokenBarrierError:
            pass  # the thread that broke it says why
        except BaseException as error:
            errors.append(error)
            barrier.abort()
        finally:
            # Else Python 3.12 and later trace, and slow down, all threads from then on.
            sys.settrace(None)

    workers = [threading.Thread(target=run, args=(own,), daemon=True) for own in answers]
    until = time.monotonic() + SECONDS
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))
    if errors:
        raise errors[0]
    assert [len(own) for own in answers] == [rounds] * threads, "a thread hangs"
    return [list(one) for one in zip(*answers, strict=True)]


def _let_others_in(frame: FrameType, event: str, arg: object) -> Any:
    if not str(frame.f_globals.get("__name__")).startswith("nadoo_flow."):
        return None
    frame.f_trace_opcodes = True
    if random.random() < 0.1:
        time.sleep(1e-6)
    return _let_others_in
