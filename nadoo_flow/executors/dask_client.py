"""Support for clients of Dask, without importing any part of Dask that the caller has not."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from .errors import WorkerLost

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")

CHECK_SECONDS = 1.0
"""How often to look whether a worker that has not answered is still there."""


def is_client(value: object) -> TypeGuard[Client]:
    """Return whether a value is a client of Dask's."""
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(value, distributed.Client)


class ClientExecutor(Executor):
    """An executor on a client of Dask's, whose futures end also when the scheduler is lost.

    Dask's own, ``client.get_executor()``, forgets a future if its result cannot be fetched.

    Args:
        client: A synchronous client.

    Raises:
        TypeError: If the client is asynchronous.
    """

    def __init__(self, client: Client) -> None:
        if client.asynchronous:
            raise TypeError(
                "executor must be a synchronous Client: make it with asynchronous=False, which is "
                "the default, also where an event loop runs"
            )
        self._client: Any = client

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit a call to the client.

        Raises:
            RuntimeError: If the client is closed, or about to be.
        """
        return self._submit(fn, args, kwargs, self._gather)

    def submit_to(self, worker: str, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        """Submit a call to one worker; its future fails with a WorkerLost if that has ended.

        Raises:
            RuntimeError: If the client is closed, or about to be.
        """
        gather = partial(self._gather_from, worker)
        return self._submit(fn, args, {"workers": [worker]}, gather)

    def _submit(
        self,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        gather: Callable[[list[Any]], Awaitable[Any]],
    ) -> Future[T]:
        # What is submitted while a client closes, because it lost its scheduler, never ends.
        if self._client.status not in ("running", "connecting"):
            raise RuntimeError(f"the client of Dask's is {self._client.status}")
        # Dask keeps a result while there is a reference to its future: this list holds the only
        # one, and is cleared when the result is here. Without pure=False Dask would take two calls
        # with the same arguments for one.
        remote = [self._client.submit(fn, *args, **kwargs, pure=False)]
        future: Future[T] = Future()
        future.add_done_callback(partial(self._cancel_too, remote))
        self._client.loop.add_callback(self._bring_back, remote, future, gather)
        return future

    async def _bring_back(
        self,
        remote: list[Any],
        future: Future[T],
        gather: Callable[[list[Any]], Awaitable[Any]],
    ) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            (result,) = await gather(remote)
        except BaseException as failed:
            error = failed
        remote.clear()
        if not future.set_running_or_notify_cancel():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    async def _gather(self, remote: list[Any]) -> Any:
        return await self._client.gather(remote, asynchronous=True)

    async def _gather_from(self, worker: str, remote: list[Any]) -> Any:
        gathering = asyncio.ensure_future(self._gather(remote))
        while not (await asyncio.wait([gathering], timeout=CHECK_SECONDS))[0]:
            # What waits for a worker that has ended waits for ever.
            if not await self._client.nthreads(workers=[worker]):
                await self._client.cancel(remote, asynchronous=True)
                await asyncio.wait([gathering])
                gathering.exception()
                raise WorkerLost(f"the worker {worker} has ended")
        return gathering.result()

    def _cancel_too(self, remote: list[Any], future: Future[T]) -> None:
        if future.cancelled():
            self._client.loop.add_callback(self._client.cancel, [*remote], asynchronous=True)

    def __repr__(self) -> str:
        return repr(self._client)


def is_killed_worker(error: BaseException) -> bool:
    """Return whether Dask gave a bundle up because several workers died while they had it."""
    scheduler = sys.modules.get("distributed.scheduler")
    return scheduler is not None and isinstance(error, scheduler.KilledWorker)


def is_of_dask(executor: Executor) -> bool:
    """Return whether an executor brings its calls to workers of Dask's."""
    return type(executor).__module__.startswith("distributed") or isinstance(
        executor, ClientExecutor
    )
