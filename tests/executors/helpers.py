"""What the tests of executors share."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any

import pytest
from distributed import LocalCluster

from nadoo_flow.executors.worker import confirm_start

real = pytest.mark.asyncio(loop_factories=["real"])
"""Workers work in real time."""

SPAWN = multiprocessing.get_context("spawn")


def two_processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=SPAWN)


def local_cluster() -> LocalCluster:
    return LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )


async def turns(number: int = 20) -> None:
    """Let the loop turn some times, in which all happens that waits for nobody else."""
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    while not condition():  # noqa: ASYNC110  # the code under test has no event to wait for
        await asyncio.sleep(0)


class Unpicklable:
    """Refuses to be pickled, in words of its own."""

    def __reduce__(self) -> Any:
        raise TypeError("it stays here")


REFUSAL = "TypeError: it stays here"


class ByHand(Executor):
    """An executor that runs a bundle when the test says so.

    Attributes:
        bundles: What was submitted, in this order.
    """

    def __init__(self) -> None:
        self.bundles: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self.is_shut_down = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        assert not kwargs
        assert not self.is_shut_down
        future: Future[Any] = Future()
        if fn is confirm_start:
            future.set_result(None)
        else:
            self.bundles.append((future, fn, args))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.is_shut_down = True

    @property
    def sizes(self) -> list[int]:
        """How many calls there are in each bundle."""
        return [len(self.calls(number)) for number in range(len(self.bundles))]

    def calls(self, number: int) -> list[Any]:
        """Return the items of a bundle."""
        _, calls = pickle.loads(self.bundles[number][2][1])
        return [pickle.loads(payload)[0] for _, payload in calls]

    def do(self, number: int, busy: float | None = None) -> None:
        """Run a bundle, as a worker would, which reports so many seconds of work for it."""
        future, fn, args = self.bundles[number]
        if future.set_running_or_notify_cancel():
            answers: list[Any] = []
            worker = threading.Thread(target=lambda: answers.append(fn(*args)))
            worker.start()
            worker.join()
            missing, results, measured, idle = pickle.loads(answers[0])
            answer = (missing, results, measured if busy is None else busy, idle)
            future.set_result(pickle.dumps(answer))

    def fail(self, number: int, error: Exception) -> None:
        """Let a bundle come back with an error."""
        self.bundles[number][0].set_exception(error)
