"""Many inputs through one node."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from reactivex import Observable

from .checks import boolean, positive_int
from .context import NodeContext, WorkflowContext, as_input
from .errors import NO_MESSAGE, NodeError
from .execution import execute_safely
from .node import NodeLike, as_node
from .streams import (
    BUFFER,
    Buffering,
    CloseableAsyncIterator,
    Indexed,
    OverflowStrategy,
    Plan,
    Source,
    Subscription,
    as_source,
    drain,
    emit,
    flat_map,
)
from .streams import observe as observe_plan


@dataclass(slots=True)
class BatchResult:
    """What became of one input.

    Attributes:
        index: The position of the input in the batch.
        input_data: The input as it was given.
        success: Whether the node did its work.
        output: What the node made, if it did.
        error: Why not, in words, if it did not.
        execution_time: Seconds from the start of the item to its end.
        exception: The exception behind the failure, with its traceback, where there is one.
        metadata: What the node told about its work.
    """

    index: int
    input_data: Any
    success: bool
    output: Any = None
    error: str | None = None
    execution_time: float | None = None
    exception: BaseException | None = field(default=None, repr=False, compare=False)
    metadata: dict[str, Any] = field(default_factory=dict)


class BatchProcessor:
    """Run a node over many inputs, so many at a time.

    Args:
        node: A node or a function.
        max_concurrency: Most inputs in work at a time. Each input starts as soon as one before it
            has ended; inputs are pulled at most four times as far ahead.
        continue_on_error: With True a failed input is a failed result among the others. With False
            the first failure cancels the rest and is raised as a :class:`NodeError`.
    """

    def __init__(
        self, node: NodeLike, max_concurrency: int = 10, continue_on_error: bool = True
    ) -> None:
        self.node = as_node(node, "node")
        self.max_concurrency = positive_int(max_concurrency, "max_concurrency")
        self.continue_on_error = boolean(continue_on_error, "continue_on_error")

    async def batch(
        self, inputs: Source[Any], workflow_context: WorkflowContext | None = None
    ) -> list[BatchResult]:
        """Process all inputs and return their results in input order.

        A subclass's own ``batch_as_completed`` is what this collects from.

        Args:
            inputs: An iterable, an async iterable or an Observable. A mapping goes to the node as
                it is, any other value as ``{"item": value}``.
            workflow_context: State that the whole run shares; a fresh one by default.

        Raises:
            TypeError: If inputs is a single value.
            NodeError: With ``continue_on_error=False``, the first failure, when the rest has ended.
            Exception: An error of the inputs themselves, when what they gave before has ended.
        """
        results: list[BatchResult] = []
        if type(self).batch_as_completed is BatchProcessor.batch_as_completed:
            unlimited = Buffering(overflow=OverflowStrategy.BUFFER)
            await drain(self._plan(inputs, workflow_context, unlimited), results.append)
        else:
            given = () if workflow_context is None else (workflow_context,)
            async with aclosing(self.batch_as_completed(inputs, *given)) as completed:
                results = [result async for result in completed]
        results.sort(key=attrgetter("index"))
        return results

    def batch_as_completed(
        self,
        inputs: Source[Any],
        workflow_context: WorkflowContext | None = None,
        *,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
    ) -> CloseableAsyncIterator[BatchResult]:
        """Process the inputs and yield each result when it is there.

        Nothing starts before the first result is asked for. A slow consumer slows the inputs down,
        so endless inputs are fine.

        Args:
            inputs: An iterable, an async iterable, or an Observable. The latter may emit from any
                thread, and cannot be slowed down.
            workflow_context: State that the whole run shares; a fresh one by default.
            buffer: Most items of an Observable that may wait.
            overflow: What happens to an item more than that. What was dropped is counted in the
                iterator's ``dropped``.

        Returns:
            An async iterator; leave it early with ``async with`` or ``aclose()``.

        Raises:
            TypeError: If inputs is a single value.
            NodeError: From the iterator, with ``continue_on_error=False``: the first failure, when
                the rest has ended.
            BufferOverflowError: From the iterator, after the results of all that had arrived.
            Exception: From the iterator: an error of the inputs, after the results of all that
                came before it.
        """
        buffering = Buffering(buffer, overflow)
        return CloseableAsyncIterator(self._plan(inputs, workflow_context, buffering))

    def observe(
        self,
        inputs: Source[Any],
        workflow_context: WorkflowContext | None = None,
        *,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
    ) -> Observable[BatchResult]:
        """Return a cold Observable of the results as they complete.

        Every subscription is a run of its own, needs a running event loop, and is cancelled by
        ``dispose()``. Arguments and errors are those of :meth:`batch_as_completed`.
        """
        buffering = Buffering(buffer, overflow)
        return observe_plan(self._plan(inputs, workflow_context, buffering))

    async def process_single(
        self, input_data: Any, index: int, workflow_context: WorkflowContext | None = None
    ) -> BatchResult:
        """Process one input; a failure is a failed result, whatever ``continue_on_error`` says."""
        time = asyncio.get_running_loop().time
        started = time()
        result = await execute_safely(
            self.node,
            NodeContext(as_input(input_data)),
            WorkflowContext() if workflow_context is None else workflow_context,
        )
        return BatchResult(
            index,
            input_data,
            result.success,
            result.output,
            result.error,
            time() - started,
            result.exception,
            result.metadata,
        )

    def _plan(
        self,
        inputs: Source[Any],
        workflow_context: WorkflowContext | None,
        buffering: Buffering,
    ) -> Plan[BatchResult]:
        source = as_source(inputs, "inputs")

        def build(run: Subscription) -> Observable[BatchResult]:
            shared = WorkflowContext() if workflow_context is None else workflow_context
            process = self.process_single if self.continue_on_error else self._must_succeed

            def work(indexed: Indexed[Any]) -> Coroutine[Any, Any, BatchResult]:
                return process(indexed[1], indexed[0], shared)

            lanes = flat_map(run, work, self.max_concurrency, self.node.isolate)
            return emit(run, source, buffering).pipe(lanes)

        return Plan(build, self.max_concurrency)

    async def _must_succeed(
        self, input_data: Any, index: int, workflow_context: WorkflowContext
    ) -> BatchResult:
        result = await self.process_single(input_data, index, workflow_context)
        if result.success:
            return result
        raise NodeError(self.node.node_id, result.error or NO_MESSAGE, index) from result.exception
