"""What to do with calls whose chunk did not come back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError

from ..errors import describe_error
from .chunk import Call, Chunk
from .dask_client import is_killed_worker
from .errors import ExecutorLost, WorkerLost
from .main_guard import ImportingMain

SUSPICIOUS = 2
"""Deaths of workers after which a call is tried with nothing else on the executor."""

GIVEN_UP = 4
"""Deaths of workers, the last of them alone, after which a call fails."""


def deaths_behind(error: BaseException) -> int:
    """Say how often workers died with a chunk that came back with an error; 0 if none did."""
    if is_killed_worker(error):
        return GIVEN_UP  # Dask has tried as often as it thought right
    return int(isinstance(error, BrokenExecutor))


def is_guilty(chunk: Chunk, call: Call) -> bool:
    """Tell whether it is this call of a lost chunk that kills workers."""
    return chunk.alone and len(chunk.calls) == 1 and call.deaths >= GIVEN_UP


def halved(calls: Sequence[Call]) -> list[Sequence[Call]]:
    """Split calls, so that the one that kills workers is among fewer."""
    middle = len(calls) // 2
    return [half for half in (calls[:middle], calls[middle:]) if half]


def worker_lost(call: Call, error: BaseException) -> WorkerLost:
    """Say that a call is given up."""
    lost = WorkerLost(
        f"workers died {call.deaths} times while they had this item: {describe_error(error)}"
    )
    lost.__cause__ = error
    return lost


def make_executor_lost(error: BaseException) -> ExecutorLost | ImportingMain:
    """Say that the executor failed."""
    if isinstance(error, ImportingMain):
        return error
    if isinstance(error, ExecutorLost):
        lost = ExecutorLost(*error.args)
        lost.__cause__ = error.__cause__
        return lost
    if isinstance(error, (CancelledError, asyncio.CancelledError)):
        text = "the executor gave the item up: it was shut down, or lost its scheduler"
    else:
        text = f"the executor failed: {describe_error(error)}"
    lost = ExecutorLost(text)
    lost.__cause__ = error
    return lost
