"""The executor behind ``on``: the caller's own, or those that a factory makes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any

from .._support.checks import describe_value
from ..errors import describe_error
from .dask_client import ClientExecutor, is_of_dask
from .errors import ExecutorLost
from .in_thread import run_in_thread
from .main_guard import (
    HINT,
    has_run_main,
    is_importing_main,
    leave_process,
    make_guard_error,
    submit_first,
)
from .worker import confirm_start

STARTS = 3
"""Attempts to make an executor that works."""


class ExecutorHandle:
    """Holds the executor that one event loop uses: starts, replaces and stops it.

    Args:
        executor: An executor that belongs to the caller and is never shut down, or None.
        make: Makes an executor if the caller has none.

    Attributes:
        executor: The executor, while there is one.
    """

    def __init__(self, executor: Executor | None, make: Callable[[], Executor] | None) -> None:
        self.executor = executor
        self._make = make
        # The processes of an executor until it is known to work; None from then on.
        self._newborn: list[BaseProcess] | None = [] if make is None else None
        self._lacks_guard = False

    @property
    def makes_executors(self) -> bool:
        """Whether it can replace an executor that broke."""
        return self._make is not None

    def submit(self, function: Callable[..., bytes], *arguments: Any) -> Future[bytes]:
        """Submit a call to the executor; an exception of the executor comes with the future."""
        assert self.executor is not None
        if self._lacks_guard:
            return _make_failed_future(make_guard_error())
        newborn = self._newborn
        try:
            if newborn is None:
                return self.executor.submit(function, *arguments)
            future, children = submit_first(self.executor, function, *arguments)
        except Exception as error:
            if is_importing_main():
                return _make_failed_future(leave_process())
            return _make_failed_future(
                error if isinstance(error, BrokenExecutor) else _make_refusal(error)
            )
        newborn += children
        # Called in the executor's own thread, before it awaits its processes.
        future.add_done_callback(self._look_for_guard)
        return future

    @property
    def knows_what_runs(self) -> bool:
        """Whether it cancels no call that a worker has begun with, as Dask does."""
        return self.executor is None or not is_of_dask(self.executor)

    def submit_to(
        self, worker: str | None, function: Callable[..., bytes], *arguments: Any
    ) -> Future[bytes]:
        """Submit a call to a worker of Dask's, or, with None, to any worker."""
        if self.executor is None:
            return _make_failed_future(ExecutorLost("the executor has been shut down"))
        if worker is None or not isinstance(self.executor, ClientExecutor):
            return self.submit(function, *arguments)
        try:
            return self.executor.submit_to(worker, function, *arguments)
        except Exception as error:
            return _make_failed_future(_make_refusal(error))

    def explain(self, error: BaseException) -> BaseException:
        """Return the cause of an error of the executor, where it is known."""
        return make_guard_error() if self._lacks_guard else error

    def _look_for_guard(self, future: Future[bytes]) -> None:
        if future.cancelled() or (newborn := self._newborn) is None:
            return
        self._newborn = None
        if isinstance(future.exception(), BrokenExecutor):
            self._lacks_guard = has_run_main(newborn)

    async def start(self) -> None:
        """Make an executor and wait until one of its workers is ready.

        It works in a thread, since this can take as long as a new interpreter needs.

        Raises:
            ExecutorLost: If the factory raises, or the executor breaks at once again and again.
        """
        if self._lacks_guard:
            raise make_guard_error()
        self.executor = await run_in_thread(self._make_working_executor, unwanted=_shut_down)

    async def stop(self) -> None:
        """Shut down an executor that was made here, and wait until its workers have ended."""
        if self._make is None or self.executor is None:
            return
        executor, self.executor = self.executor, None
        await run_in_thread(lambda: _shut_down(executor))

    def _make_working_executor(self) -> Executor:
        assert self._make is not None
        for _ in range(STARTS):
            executor = _call_factory(self._make)
            children: list[BaseProcess] = []
            try:
                future, children = submit_first(executor, confirm_start)
                future.result()
            except Exception as error:
                cause = error
                _shut_down(executor)
                if is_importing_main():
                    raise leave_process() from None
                if has_run_main(children):
                    self._lacks_guard = True
                    raise make_guard_error() from None
                if not isinstance(error, BrokenExecutor):
                    break
            else:
                return executor
        hint = f"; {HINT}" if isinstance(cause, BrokenProcessPool) else ""
        problem = f"a new executor does not work: {describe_error(cause)}{hint}"
        raise ExecutorLost(problem) from cause


def _call_factory(make: Callable[[], Executor]) -> Executor:
    try:
        executor = make()
    except BaseException as error:
        raise ExecutorLost(f"no executor could be made: {describe_error(error)}") from error
    if not isinstance(executor, Executor):
        raise TypeError(f"the factory must return an Executor, got {describe_value(executor)}")
    return executor


def _make_failed_future(error: BaseException) -> Future[bytes]:
    failed: Future[bytes] = Future()
    failed.set_exception(error)
    return failed


def _make_refusal(error: Exception) -> ExecutorLost:
    lost = ExecutorLost(f"the executor takes no work: {describe_error(error)}")
    lost.__cause__ = error
    return lost


def _shut_down(executor: Executor) -> None:
    executor.shutdown(wait=True, cancel_futures=True)
