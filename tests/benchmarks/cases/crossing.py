"""What crosses to a worker and back for an item, and how long pickling it takes."""

from __future__ import annotations

import atexit
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from threading import Lock
from time import thread_time
from typing import Any
from unittest.mock import patch

from ..model import Case, Contestant, Outcome, Params, Run, as_measured, us_per_item
from ..nodes import expected_total, inputs
from .executors import SHORT, compute

THERE = "nadoo-flow, to a process"
BACK = "nadoo-flow, back from a process"
PICKLING = "nadoo-flow, pickling there and back, in both places"


class _Counting(Executor):
    """Passes calls on to two processes, and counts the bytes of the calls and of their results."""

    def __init__(self) -> None:
        self._processes = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
        self.bytes = {THERE: 0, BACK: 0}
        atexit.register(self._processes.shutdown)

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        self.bytes[THERE] += len(pickle.dumps((function, arguments, named)))
        future = self._processes.submit(function, *arguments, **named)
        future.add_done_callback(self._count)
        return future

    def _count(self, future: Future[Any]) -> None:
        self.bytes[BACK] += len(pickle.dumps(future.result()))


async def _run(executor: Executor, params: Params) -> list[int]:
    from nadoo_flow import BatchProcessor, FunctionNode
    from nadoo_flow.executors import on

    node: Any = FunctionNode(partial(compute, params["microseconds"])).pipe(on(executor))
    given = [each["n"] for each in inputs(params["n"])]
    outputs = (await BatchProcessor(node, params["concurrency"]).batch(given)).outputs
    return [len(outputs), sum(outputs)]


def _prepare_bytes(way: str, params: Params) -> Run:
    async def once() -> Outcome:
        executor = _Counting()
        answer = await _run(executor, params)
        return Outcome(answer, executor.bytes[way] / params["n"])

    return once


class _Stopwatch:
    """Adds up the processor time of calls in all threads."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0
        self._lock = Lock()

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            started = thread_time()
            try:
                return function(*arguments, **named)
            finally:
                with self._lock:
                    self.seconds += thread_time() - started
                    self.calls += 1

        return timed


@contextmanager
def _timing_pickle(stopwatch: _Stopwatch) -> Iterator[None]:
    import cloudpickle

    with (
        patch("pickle.dumps", stopwatch.timing(pickle.dumps)),
        patch("pickle.loads", stopwatch.timing(pickle.loads)),
        patch("cloudpickle.dumps", stopwatch.timing(cloudpickle.dumps)),
        patch("cloudpickle.loads", stopwatch.timing(cloudpickle.loads)),
    ):
        yield


def _prepare_time(params: Params) -> Run:
    """Have the worker in a thread, where its pickling can be timed too."""

    async def once() -> Outcome:
        stopwatch = _Stopwatch()
        with ThreadPoolExecutor(1) as executor, _timing_pickle(stopwatch):
            answer = await _run(executor, params)
        calls = f"{stopwatch.calls / params['n']:.2g} calls"
        return Outcome(answer, stopwatch.seconds, calls)

    return once


CASES = (
    Case(
        module=__name__,
        name="crossing-bytes",
        title="Bytes that cross to two processes and back, input and output are a number",
        unit="bytes/item",
        variants=(SHORT,),
        contestants=tuple(Contestant(way, partial(_prepare_bytes, way)) for way in (THERE, BACK)),
        expected=expected_total,
        figure=as_measured,
        steady=False,
        over="nothing",
    ),
    Case(
        module=__name__,
        name="crossing-time",
        title="Processor time of pickling and unpickling, input and output are a number",
        unit="us/item",
        variants=(SHORT,),
        contestants=(Contestant(PICKLING, _prepare_time),),
        expected=expected_total,
        figure=us_per_item,
        steady=False,
        over="nothing",
    ),
)
