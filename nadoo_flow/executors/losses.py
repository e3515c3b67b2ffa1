"""Calls whose bundle was lost: which are tried again, and which are given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError

from ..errors import describe_error
from .bundle import Bundle, Call
from .dask_client import is_killed_worker
from .errors import ExecutorLost, WorkerLost
from .main_guard import ImportingMain

SUSPICIOUS = 2
"""Deaths of workers after which a call is tried with nothing else on the executor."""

GIVEN_UP = 4
"""Deaths of workers, the last of them alone, after which a call fails."""


def count_deaths(error: BaseException) -> int:
    """Return how many workers died while they had a bundle that failed with this error."""
    if is_killed_worker(error):
        return GIVEN_UP  # Dask has tried again itself
    return int(isinstance(error, BrokenExecutor))


def is_guilty(bundle: Bundle, call: Call) -> bool:
    """Return whether this call of a lost bundle is known to kill workers."""
    return bundle.alone and len(bundle.calls) == 1 and call.deaths >= GIVEN_UP


def split_in_half(calls: Sequence[Call]) -> list[Sequence[Call]]:
    """Split calls into two halves, to find the one that kills workers; a half may be missing."""
    middle = len(calls) // 2
    return [half for half in (calls[:middle], calls[middle:]) if half]


def make_worker_lost(call: Call, error: BaseException) -> WorkerLost:
    """Make the error of a call that is given up."""
    lost = WorkerLost(
        f"workers died {call.deaths} times while they had this item: {describe_error(error)}"
    )
    lost.__cause__ = error
    return lost


def make_executor_lost(error: BaseException) -> ExecutorLost | ImportingMain:
    """Make the error of a call whose executor failed."""
    if isinstance(error, ImportingMain):
        return error
    if isinstance(error, ExecutorLost):
        lost = ExecutorLost(*error.args)
        lost.__cause__ = error.__cause__
        return lost
    if isinstance(error, (CancelledError, asyncio.CancelledError)):
        text = "the executor cancelled the item: it was shut down, or lost its scheduler"
    else:
        text = f"the executor failed: {describe_error(error)}"
    lost = ExecutorLost(text)
    lost.__cause__ = error
    return lost
