"""What is special about Dask, of which nothing is imported that the caller has not imported."""

from __future__ import annotations

import sys
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    from distributed import Client


def is_client(value: object) -> TypeGuard[Client]:
    """Tell whether a value is a client of Dask's."""
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(value, distributed.Client)


def executor_of(client: Client) -> Executor:
    """Return the executor of a client.

    Raises:
        TypeError: If the client is asynchronous, which its executor cannot be used with.
    """
    if client.asynchronous:
        raise TypeError(
            "executor must be a synchronous Client: make it with asynchronous=False, which is the "
            "default, also where an event loop runs"
        )
    # By default Dask takes two calls with the same arguments for one.
    executor: Executor = cast(Any, client).get_executor(pure=False)
    return executor


def is_killed_worker(error: BaseException) -> bool:
    """Tell whether Dask gave a chunk up, because several workers died while they had it."""
    scheduler = sys.modules.get("distributed.scheduler")
    return scheduler is not None and isinstance(error, scheduler.KilledWorker)
