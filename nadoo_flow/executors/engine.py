"""The executor behind ``on``: one that the caller has, or one that a factory makes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any

from .._support.checks import describe_value
from ..errors import describe_error
from .errors import ExecutorLost
from .in_thread import in_thread
from .main_guard import HINT, is_importing_main, leave, no_guard, ran_main, submit_first
from .worker import ready

STARTS = 3
"""How often a new executor may break before it has done anything."""


class Engine:
    """Gives chunks to an executor, in one event loop.

    Args:
        executor: One that belongs to the caller and is never shut down, or None.
        make: Otherwise, makes one.

    Attributes:
        executor: The executor, while there is one.
    """

    def __init__(self, executor: Executor | None, make: Callable[[], Executor] | None) -> None:
        self.executor = executor
        self._make = make
        # The processes of an executor that is not known to work.
        self._newborn: list[BaseProcess] | None = [] if make is None else None
        self._lacks_guard = False

    @property
    def makes_executors(self) -> bool:
        """Whether it can replace an executor that broke."""
        return self._make is not None

    def submit(self, function: Callable[..., bytes], *arguments: Any) -> Future[bytes]:
        """Give the executor something to do; what it raises comes with the future."""
        assert self.executor is not None
        if self._lacks_guard:
            return _failed(no_guard())
        newborn = self._newborn
        try:
            if newborn is None:
                return self.executor.submit(function, *arguments)
            future, children = submit_first(self.executor, function, *arguments)
        except Exception as error:
            if is_importing_main():
                return _failed(leave())
            return _failed(error if isinstance(error, BrokenExecutor) else _refused(error))
        newborn += children
        # Called in the executor's own thread, before that awaits its processes.
        future.add_done_callback(self._look_for_guard)
        return future

    def explain(self, error: BaseException) -> BaseException:
        """Return what an error of the executor came from, where that is known."""
        return no_guard() if self._lacks_guard else error

    def _look_for_guard(self, future: Future[bytes]) -> None:
        if future.cancelled() or (newborn := self._newborn) is None:
            return
        self._newborn = None
        if isinstance(future.exception(), BrokenExecutor):
            self._lacks_guard = ran_main(newborn)

    async def start(self) -> None:
        """Make an executor and wait until a worker of it is ready.

        Not on the event loop's thread, since this can take as long as a new interpreter needs.

        Raises:
            ExecutorLost: If the factory raises, or the executor breaks at once again and again.
        """
        if self._lacks_guard:
            raise no_guard()
        self.executor = await in_thread(self._started, unwanted=_shut_down)

    async def stop(self) -> None:
        """Shut an executor down that was made here, and wait until its workers have ended."""
        if self._make is None or self.executor is None:
            return
        executor, self.executor = self.executor, None
        await in_thread(lambda: _shut_down(executor))

    def _started(self) -> Executor:
        assert self._make is not None
        for _ in range(STARTS):
            executor = _made(self._make)
            children: list[BaseProcess] = []
            try:
                future, children = submit_first(executor, ready)
                future.result()
            except Exception as error:
                cause = error
                _shut_down(executor)
                if is_importing_main():
                    raise leave() from None
                if ran_main(children):
                    self._lacks_guard = True
                    raise no_guard() from None
                if not isinstance(error, BrokenExecutor):
                    break
            else:
                return executor
        hint = f"; {HINT}" if isinstance(cause, BrokenProcessPool) else ""
        problem = f"a new executor does not work: {describe_error(cause)}{hint}"
        raise ExecutorLost(problem) from cause


def _made(make: Callable[[], Executor]) -> Executor:
    try:
        executor = make()
    except BaseException as error:
        raise ExecutorLost(f"no executor could be made: {describe_error(error)}") from error
    if not isinstance(executor, Executor):
        raise TypeError(f"the factory must return an Executor, got {describe_value(executor)}")
    return executor


def _failed(error: BaseException) -> Future[bytes]:
    failed: Future[bytes] = Future()
    failed.set_exception(error)
    return failed


def _refused(error: Exception) -> ExecutorLost:
    lost = ExecutorLost(f"the executor takes no work: {describe_error(error)}")
    lost.__cause__ = error
    return lost


def _shut_down(executor: Executor) -> None:
    executor.shutdown(wait=True, cancel_futures=True)
