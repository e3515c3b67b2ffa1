"""Many executions of a node, collected into few calls of a function."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, Generic

from .._support.checks import (
    check_callable,
    check_non_negative_number,
    check_positive_int,
    check_positive_number,
    describe_value,
    is_list_like,
    name_function,
)
from .._support.per_loop import PerLoop
from .._support.tasks import (
    OwnedTask,
    end_and_join,
    is_closing,
    leave_out_caller,
    raise_fatal,
    start_owned,
)
from .._support.typevars import Input, Output
from ..streams import Subscription, find_innermost_run
from .context import WorkflowContext, unwrap_item
from .execution import Bound
from .node import BoundNode


class MicroBatchNode(BoundNode[Input, Output], Generic[Input, Output]):
    """Collect single inputs, and call a function with a list of them.

    So an embedding model that takes 96 texts is called once for 96 items, from whichever runs of
    the event loop they come. A call is made when it is full, when ``max_wait`` is over, or when
    nothing more can come, because all items in work of the runs wait in it.

    Args:
        fn: Sync or async; gets a list of inputs, each as a function node would get it, and returns
            a list of as many outputs, in their order. An output that is an exception fails its item
            alone.
        max_size: Most inputs of a call.
        max_wait: Seconds that the first input of a call waits for others, at most.
        max_weight: Most weight of a call; an input that is heavier has a call of its own.
        weight: Returns the weight of an input, such as its number of tokens.
        max_concurrency: Most calls at a time; no limit by default. Calls for inputs from inside a
            call are made with the permit of that one.
        node_id: Defaults to the function's name.

    An item that is cancelled leaves its call to the others; the call is cancelled when all items
    have left it. An error of the call, or a wrong number of outputs, fails all its items.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> async def embed(texts):
        ...     return [[len(text)] for text in texts]
        >>> processor = BatchProcessor(MicroBatchNode(embed, max_size=96), max_concurrency=200)
        >>> asyncio.run(processor.batch(["a", "bcd"])).outputs
        [[1], [3]]
    """

    def __init__(
        self,
        fn: Callable[[list[Input]], Sequence[Output] | Awaitable[Sequence[Output]]],
        max_size: int = 96,
        max_wait: float = 0.01,
        max_weight: float | None = None,
        weight: Callable[[Input], float] | None = None,
        max_concurrency: int | None = None,
        node_id: str | None = None,
    ) -> None:
        self.fn = check_callable(fn, "fn")
        super().__init__(name_function(fn) if node_id is None else node_id)
        self.max_size = check_positive_int(max_size, "max_size")
        self.max_wait = check_non_negative_number(max_wait, "max_wait")
        if (max_weight is None) != (weight is None):
            raise TypeError("max_weight and weight must be given together")
        if max_weight is not None:
            max_weight = check_positive_number(max_weight, "max_weight")
        self.max_weight = max_weight
        self.weight = None if weight is None else check_callable(weight, "weight")
        if max_concurrency is not None:
            max_concurrency = check_positive_int(max_concurrency, "max_concurrency")
        self.max_concurrency = max_concurrency
        self._collectors: PerLoop[_Collector] = PerLoop()

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        collector = self._collectors.get(partial(_Collector, self))

        async def collect(value: Any) -> Any:
            return await collector.execute(unwrap_item(value))

        return Bound(collect, gives_output=True)


class _MicroBatch:
    """Inputs that go into one call.

    Attributes:
        inputs: Each with the future of its output.
        weight: The sum of theirs.
        runs: How many of them belong to each run.
        is_nested: Whether an input comes from inside another call of the node, which waits for it.
        is_to_be_checked: Whether it will soon be checked that more can come.
        timer: Ends the wait for more.
        task: Makes the call, once it has begun.
    """

    def __init__(self) -> None:
        self.inputs: dict[asyncio.Future[Any], Any] = {}
        self.weight = 0.0
        self.runs: Counter[Subscription | None] = Counter()
        self.is_nested = False
        self.is_to_be_checked = False
        self.timer: asyncio.TimerHandle | None = None
        self.task: OwnedTask[None] | None = None


class _Collector:
    """Collects the inputs of a node on one event loop."""

    def __init__(self, node: MicroBatchNode[Any, Any]) -> None:
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._open: _MicroBatch | None = None
        self._permits = asyncio.Semaphore(node.max_concurrency or sys.maxsize)

    async def execute(self, value: Any) -> Any:
        """Put an input into a call, and return its output."""
        call, run = self._find_call(self._weigh(value)), find_innermost_run()
        future = self._loop.create_future()
        call.inputs[future] = value
        call.runs[run] += 1
        call.is_nested = call.is_nested or self in _calling.get()
        if len(call.inputs) >= self._node.max_size:
            self._begin(call)
        else:
            # Not before the lanes that can take items have been started.
            self._check_soon(call)
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                await self._leave(call, future, run)
            raise
        finally:
            del call, run  # or the traceback of a failure would keep the run

    def _check(self, call: _MicroBatch) -> None:
        """Begin with a call if nothing more can come into it."""
        call.is_to_be_checked = False
        runs = [(run, waiting) for run, waiting in call.runs.items() if waiting]
        if all(run is not None and run.is_waiting_for(waiting) for run, waiting in runs):
            self._begin(call)
        elif call.task is None and call is self._open:
            for run, _ in runs:
                if run is not None:
                    run.tasks.call_at_lane_end(self._check_open)

    def _check_open(self) -> None:
        if self._open is not None:
            self._check_soon(self._open)

    def _check_soon(self, call: _MicroBatch) -> None:
        if not call.is_to_be_checked:
            call.is_to_be_checked = True
            self._loop.call_soon(self._check, call)

    def _weigh(self, value: Any) -> float:
        if self._node.weight is None:
            return 0.0
        return check_non_negative_number(self._node.weight(value), "the weight of an input")

    def _find_call(self, weight: float) -> _MicroBatch:
        call, most = self._open, self._node.max_weight
        if call is not None and most is not None and call.weight + weight > most:
            self._begin(call)
            call = None
        if call is None:
            call = self._open = _MicroBatch()
            call.timer = self._loop.call_later(self._node.max_wait, self._begin, call)
        call.weight += weight
        return call

    def _begin(self, call: _MicroBatch) -> None:
        if self._open is call:
            self._open = None
        if call.timer is not None:
            call.timer.cancel()
        if call.inputs and call.task is None:
            call.task = start_owned(partial(self._make, call))

    async def _leave(
        self, call: _MicroBatch, future: asyncio.Future[Any], run: Subscription | None
    ) -> None:
        call.inputs.pop(future, None)
        call.runs[run] -= 1
        if not call.inputs and call.task is not None:
            try:
                await end_and_join([call.task])
            finally:
                raise_fatal([call.task])

    async def _make(self, call: _MicroBatch) -> None:
        _calling.set((*_calling.get(), self))
        # The permit of the call around it is one that waits.
        async with nullcontext() if call.is_nested else self._permits:
            await self._call(call)

    async def _call(self, call: _MicroBatch) -> None:
        # Those that leave from now on were still in the list that the function gets.
        futures = list(call.inputs)
        if not futures:
            return
        try:
            outputs = self._node.fn(list(call.inputs.values()))
            if inspect.isawaitable(outputs):
                outputs = await outputs
            outputs = self._check_outputs(outputs, len(futures))
        except BaseException as error:
            if not call.inputs or (isinstance(error, GeneratorExit) and is_closing()):
                raise
            outputs = [leave_out_caller(error)] * len(futures)
        for future, output in zip(futures, outputs, strict=True):
            if not future.done():
                _settle(future, output)

    def _check_outputs(self, outputs: Any, number: int) -> list[Any]:
        if not is_list_like(outputs):
            raise TypeError(
                f"the function must return a list of {number} outputs, "
                f"got {describe_value(outputs)}"
            )
        given: list[Any] = list(outputs)
        if len(given) != number:
            raise ValueError(f"the function got {number} inputs and returned {len(given)} outputs")
        return given


def find_calls_around() -> frozenset[object]:
    """Return what stands for the calls of MicroBatchNodes that the caller is part of."""
    return frozenset(_calling.get())


_calling: ContextVar[tuple[_Collector, ...]] = ContextVar("nadoo_flow_calling", default=())
"""The collectors that make the calls around the caller."""


def _settle(future: asyncio.Future[Any], output: Any) -> None:
    if not isinstance(output, BaseException):
        future.set_result(output)
    elif isinstance(output, (Exception, KeyboardInterrupt, SystemExit)) and not isinstance(
        output, StopIteration
    ):
        future.set_exception(output)
    else:
        stray = RuntimeError(f"a call raised {type(output).__name__}")
        stray.__cause__ = output
        future.set_exception(stray)
