"""Errors that occur only where a node is executed by an executor."""

from __future__ import annotations


class ExecutorLost(Exception):
    """An executor cannot work any more: it broke, was shut down, or lost its scheduler.

    ``__cause__`` holds the exception of the executor, where it raised one.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> pool = ThreadPoolExecutor()
        >>> pool.shutdown()
        >>> node = FunctionNode(str.upper).pipe(on(pool))
        >>> results = asyncio.run(BatchProcessor(node).batch(["a"]))
        >>> type(results[0].exception).__name__
        'ExecutorLost'
    """


class WorkerLost(Exception):
    """A worker died whenever it had this item, the last time with no other item in work.

    Or it ended while a generator was in it that had given outputs, which cannot be tried again.

    Example:
        >>> import os
        >>> from concurrent.futures import ProcessPoolExecutor
        >>> node = FunctionNode(os._exit).pipe(on(ProcessPoolExecutor))
        >>> results = asyncio.run(BatchProcessor(node).batch([1]))
        >>> type(results[0].exception).__name__
        'WorkerLost'
    """


class RemoteError(Exception):
    """Stands for an exception of a worker that cannot be pickled.

    Its message is the type and the message of the original. It has the attributes of the original
    that can be pickled.

    Example:
        >>> print(RemoteError("LockedError: the handle is in use"))
        LockedError: the handle is in use
    """


class RemoteTraceback(Exception):
    """The traceback of an exception in its worker, as the ``__cause__`` of that exception."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"
