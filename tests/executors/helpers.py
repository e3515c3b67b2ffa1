"""What the tests of executors share."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any

import pytest
from distributed import LocalCluster

from nadoo_flow.executors.worker import ready

real = pytest.mark.asyncio(loop_factories=["real"])
"""Workers work in real time."""

SPAWN = multiprocessing.get_context("spawn")


def two_processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=SPAWN)


def local_cluster() -> LocalCluster:
    return LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)


class ByHand(Executor):
    """An executor that does a chunk when the test says so.

    Attributes:
        chunks: What was submitted, in this order.
    """

    def __init__(self) -> None:
        self.chunks: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self.is_shut_down = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert not kwargs
        assert not self.is_shut_down
        future: Future[Any] = Future()
        if fn is ready:
            future.set_result(None)
        else:
            self.chunks.append((future, fn, args))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.is_shut_down = True

    @property
    def sizes(self) -> list[int]:
        """How many calls there are in each chunk."""
        return [len(pickle.loads(args[1])[1]) for _, _, args in self.chunks]

    def do(self, number: int) -> None:
        """Do a chunk, as a worker would."""
        future, fn, args = self.chunks[number]
        if future.set_running_or_notify_cancel():
            answers: list[Any] = []
            worker = threading.Thread(target=lambda: answers.append(fn(*args)))
            worker.start()
            worker.join()
            future.set_result(answers[0])

    def fail(self, number: int, error: Exception) -> None:
        """Let a chunk come back with an error."""
        self.chunks[number][0].set_exception(error)
