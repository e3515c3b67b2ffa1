"""Scripts without the ``__main__`` guard, which each process that they start runs once more."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from multiprocessing import active_children, current_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from .errors import ExecutorLost

T = TypeVar("T")

EXIT_STATUS = 219
"""Exit status of a process in which importing the main module started a run."""

SECONDS = 1.0
"""How long to wait for the exit status of a process that has closed its sentinel."""

HINT = (
    "workers import the script that starts them, so put what it does below a line that reads "
    "if __name__ == '__main__':"
)


class ImportingMain(SystemExit):
    """Ends, without a traceback, a process that runs the script of its parent once more."""

    def __init__(self) -> None:
        super().__init__(EXIT_STATUS)


def is_importing_main() -> bool:
    """Return whether this process still imports the main module of the one that started it."""
    # multiprocessing itself checks this before it refuses to start a process.
    return bool(getattr(current_process(), "_inheriting", False))


def leave_process() -> ImportingMain:
    """Return the exception that ends this process with the exit status that its parent knows."""
    if "--multiprocessing-fork" not in sys.orig_argv:
        os._exit(EXIT_STATUS)  # a child of a fork server exits with 1, whatever it raises
    return ImportingMain()


def submit_first(
    executor: Executor, function: Callable[..., T], *arguments: Any
) -> tuple[Future[T], list[BaseProcess]]:
    """Submit a call, and return also the processes that were started for it."""
    before = set(active_children())
    future = executor.submit(function, *arguments)
    return future, [child for child in active_children() if child not in before]


def has_run_main(children: Iterable[BaseProcess]) -> bool:
    """Return whether one of these processes ended because it ran the script once more."""
    by_sentinel = {child.sentinel: child for child in children}
    ended = [by_sentinel[sentinel] for sentinel in wait(by_sentinel, 0)]  # type: ignore[index]
    for child in ended:
        child.join(SECONDS)
    return any(child.exitcode == EXIT_STATUS for child in ended)


def make_guard_error() -> ExecutorLost:
    """Make the error that says that the script lacks the guard, and what to write."""
    return ExecutorLost(f"a worker ran the script once more; {HINT}")
