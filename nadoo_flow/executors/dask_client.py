"""Support for clients of Dask, without importing any part of Dask that the caller has not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")


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
        # What is submitted while a client closes, because it lost its scheduler, never ends.
        if self._client.status not in ("running", "connecting"):
            raise RuntimeError(f"the client of Dask's is {self._client.status}")
        # Dask keeps a result while there is a reference to its future: this list holds the only
        # one, and is cleared when the result is here. Without pure=False Dask would take two calls
        # with the same arguments for one.
        remote = [self._client.submit(fn, *args, **kwargs, pure=False)]
        future: Future[T] = Future()
        future.add_done_callback(partial(self._cancel_too, remote))
        self._client.loop.add_callback(self._bring_back, remote, future)
        return future

    async def _bring_back(self, remote: list[Any], future: Future[T]) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            (result,) = await self._client.gather(remote, asynchronous=True)
        except BaseException as failed:
            error = failed
        remote.clear()
        if not future.set_running_or_notify_cancel():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _cancel_too(self, remote: list[Any], future: Future[T]) -> None:
        if future.cancelled():
            self._client.loop.add_callback(self._client.cancel, [*remote], asynchronous=True)

    def __repr__(self) -> str:
        return repr(self._client)


def is_killed_worker(error: BaseException) -> bool:
    """Return whether Dask gave a bundle up because several workers died while they had it."""
    scheduler = sys.modules.get("distributed.scheduler")
    return scheduler is not None and isinstance(error, scheduler.KilledWorker)
