"""Few calls in a thread for many requests."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class GroupedCalls(Generic[T, R]):
    """Calls a function in a thread with all requests that came since it was called before.

    A request that is cancelled is made all the same.

    Args:
        function: Returns the answers to a group of requests, in their order. An answer that is an
            exception fails its request alone, and what it raises fails all.
        thread: Where it is called. There is one call at a time.
    """

    def __init__(
        self, function: Callable[[list[T]], Sequence[R | Exception]], thread: ThreadPoolExecutor
    ) -> None:
        self._function = function
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._is_calling = False

    def request(self, request: T) -> asyncio.Future[R]:
        """Return the future of the answer to a request."""
        future: asyncio.Future[R] = self._loop.create_future()
        self._waiting.append((request, future))
        if not self._is_calling:
            self._is_calling = True
            # Those of the same turn of the loop go along.
            self._loop.call_soon(self._call)
        return future

    def _call(self) -> None:
        group, self._waiting = self._waiting, []
        futures = [future for _, future in group]
        requests = [request for request, _ in group]
        try:
            call = self._loop.run_in_executor(self._thread, self._function, requests)
        except RuntimeError as error:  # the interpreter is shutting down
            self._answer(futures, [_copy(error) for _ in futures])
            return
        call.add_done_callback(partial(self._on_done, futures))

    def _on_done(
        self, futures: list[asyncio.Future[R]], call: asyncio.Future[Sequence[R | Exception]]
    ) -> None:
        try:
            answers = call.result()
        except Exception as error:
            answers = [_copy(error) for _ in futures]
        self._answer(futures, answers)

    def _answer(self, futures: list[asyncio.Future[R]], answers: Sequence[R | Exception]) -> None:
        for future, answer in zip(futures, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._is_calling = bool(self._waiting)
        if self._is_calling:
            self._call()


def _copy(error: Exception) -> Exception:
    """Copy an exception, because each one that raises it adds to its traceback."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied
