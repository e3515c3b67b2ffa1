"""The workers in which a node is executed, if the options ask for some."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from ...errors import describe_error
from ...executors import on
from ...nodes.node import Policy
from ..console import CommandError

FEWEST_LANES = 8
CONCURRENCY = 10
SECONDS_TO_CONNECT = 10
SECONDS_TO_END = 2

# A fork of a process with threads may hang.
_spawning = multiprocessing.get_context("spawn")


def choose_concurrency(options: argparse.Namespace) -> int:
    """Return how many inputs are in work at a time: enough to keep all processes at work."""
    if options.concurrency is not None:
        return int(options.concurrency)
    return max(CONCURRENCY, 4 * (options.processes or 0))


def make_workers_policy(options: argparse.Namespace, closing: ExitStack) -> Policy | None:
    """Make the policy that executes a node in workers, if one is asked for.

    Args:
        options: The options.
        closing: Gets what is to be closed when the run has ended.

    Raises:
        CommandError: If that is not possible.
    """
    if options.processes is not None and options.dask is not None:
        raise CommandError("--processes and --dask exclude each other")
    try:
        if options.processes is not None:
            lanes = max(FEWEST_LANES, 2 * options.processes)
            closing.callback(_kill_busy_processes)
            return on(partial(_start_processes, options.processes), lanes=lanes)
        if options.dask is not None:
            return on(_connect(options, closing))
    except ImportError as error:
        extra = "processes" if options.dask is None else "dask,processes"
        raise CommandError(f"{error}; pip install 'nadoo-flow[{extra}]'") from error
    return None


def _start_processes(number: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        number,
        _spawning,
        # Ctrl-C reaches all processes of a terminal, and this one decides what it means.
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )


def _kill_busy_processes() -> None:
    """Kill the processes that do not end with the run, as in the middle of an interrupted call."""
    deadline = time.monotonic() + SECONDS_TO_END
    for process in multiprocessing.active_children():
        if isinstance(process, _spawning.Process):
            process.join(max(deadline - time.monotonic(), 0))
            if process.is_alive():
                process.kill()


def _connect(options: argparse.Namespace, closing: ExitStack) -> Any:
    from distributed import Client

    connect: Any = Client
    try:
        client = connect(options.dask, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except Exception as error:
        raise CommandError(
            f"cannot connect to Dask at {options.dask}: {describe_error(error)}"
        ) from error
    closing.callback(client.close)
    _send_module(options.node.partition(":")[0])
    return client


def _send_module(name: str) -> None:
    """Have a module of the current folder, which the workers may not have, go along with calls."""
    import cloudpickle

    module = sys.modules[name]
    file = getattr(module, "__file__", None)
    if file is not None and os.path.dirname(os.path.abspath(file)) == os.getcwd():
        cloudpickle.register_pickle_by_value(module)
