"""Pure Python work in one event loop, in two processes, and on two workers of Dask."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

from ..model import Case, Contestant, Outcome, Params, Peer, Run, as_measured
from ..nodes import expected_total, inputs

DASK = Peer("distributed", "distributed")

IN_THE_LOOP = "nadoo-flow, in the loop"
ON_PROCESSES = "nadoo-flow, on two processes"
ON_DASK = "nadoo-flow, on two workers of Dask"

SHORT: Params = {"n": 10_000, "concurrency": 1_000, "microseconds": 100}
LONG: Params = {"n": 400, "concurrency": 100, "microseconds": 5_000}

TURNS = 100
"""Turns of a loop that take about a microsecond."""

_WORKERS = ExitStack()
atexit.register(_WORKERS.close)


def compute(microseconds: int, n: int) -> int:
    for _ in range(TURNS * microseconds):
        pass
    return n + 1


def end_workers() -> None:
    """End all workers, which use the processor also when they are idle."""
    _WORKERS.close()
    _two_processes.cache_clear()
    _two_dask_workers.cache_clear()


@cache
def _two_processes() -> Executor:
    return _WORKERS.enter_context(ProcessPoolExecutor(2, mp_context=get_context("spawn")))


@cache
def _two_dask_workers() -> Any:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )
    _WORKERS.enter_context(cluster)
    return _WORKERS.enter_context(Client(cluster))


def _prepare(make: Callable[[], Any] | None, params: Params) -> Run:
    from nadoo_flow import BatchProcessor, FunctionNode
    from nadoo_flow.executors import on

    node: Any = FunctionNode(partial(compute, params["microseconds"]))
    if make is not None:
        node = node.pipe(on(make()))
    processor = BatchProcessor(node, params["concurrency"])
    given = [each["n"] for each in inputs(params["n"])]
    warm = False

    async def once() -> Outcome:
        nonlocal warm
        if not warm:  # workers take a while to start, and to import what they need
            await processor.batch(given)
            warm = True
        results = await processor.batch(given)
        return Outcome((len(results.outputs), sum(results.outputs)), results.seconds)

    return once


CASES = (
    Case(
        module=__name__,
        name="executors",
        title="Makespan of items that compute for 0.1 and 5 ms, workers started",
        unit="s",
        variants=(SHORT, LONG),
        contestants=(
            Contestant(IN_THE_LOOP, partial(_prepare, None)),
            Contestant(ON_PROCESSES, partial(_prepare, _two_processes)),
            Contestant(ON_DASK, partial(_prepare, _two_dask_workers), DASK),
        ),
        expected=expected_total,
        figure=as_measured,
        steady=False,
    ),
)
