"""Many inputs through one node."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from reactivex import Observable

from .._support.backoff import Wait, generate_waits
from .._support.checks import check_bool, check_positive_int
from .._support.clock import get_clock
from ..errors import NodeError
from ..events import Events, RunReporter, start_reporting
from ..events.event import ProgressArgument, StageInfo, WatchOptions, as_progress
from ..nodes.context import WorkflowContext
from ..nodes.node import NodeLike, as_node
from ..results.batch_result import BatchResult
from ..results.batch_results import BatchResults
from ..streams import (
    BUFFER,
    Buffering,
    CloseableAsyncIterator,
    OverflowStrategy,
    Plan,
    Source,
    as_source,
    drain,
)
from ..streams import observe as observe_plan
from ..tracing.trace import Trace
from .chunks import in_chunks, in_index_order
from .overrides import accept_context, call_with_context, iterate_results
from .run import BatchRun, in_order, outcome_of, processing

if TYPE_CHECKING:
    from ..checkpoint import Checkpoint, Codec
    from .run import Single


class BatchProcessor:
    """Run a node over many inputs, so many at a time.

    Args:
        node: A node or a function.
        max_concurrency: Most inputs in work at a time. Each input starts as soon as one before it
            has ended; inputs are pulled at most four times as far ahead.
        continue_on_error: With True a failed input is a failed result among the others. With False
            the first failure cancels the rest and is raised as a :class:`NodeError`.
        progress: Whether each run shows a progress bar, on a stderr that is a terminal, or in a
            notebook; ``"always"`` writes to any stderr.
        trace: With True each :meth:`batch` records what happens, for ``results.trace``. A
            :class:`Trace` records all runs.
        checkpoint: A file (or a :class:`Checkpoint` of your own) in which each success is recorded
            before it is handed out. The next run with it does not execute those again: they come
            back with ``metadata["resumed"]``. It belongs to one node and one series of inputs.
        codec: How outputs are stored there; as JSON by default.
    """

    def __init__(
        self,
        node: NodeLike,
        max_concurrency: int = 10,
        continue_on_error: bool = True,
        *,
        progress: ProgressArgument = False,
        trace: bool | Trace = False,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        codec: Codec | None = None,
    ) -> None:
        self.node = as_node(node, "node")
        self.max_concurrency = check_positive_int(max_concurrency, "max_concurrency")
        self.continue_on_error = check_bool(continue_on_error, "continue_on_error")
        self.checkpoint = None if checkpoint is None else _checkpoint(checkpoint)
        self.codec = codec
        self.progress = as_progress(progress)
        self.trace = trace if isinstance(trace, Trace) else check_bool(trace, "trace")

    @cached_property
    def events(self) -> Events:
        """What happens in the runs that begin from now on: a hot Observable of :class:`Event`."""
        # Threads that ask for it at the same time must get the same one.
        return vars(self).setdefault("events", Events())  # type: ignore[no-any-return]

    async def batch(
        self, inputs: Source[Any], workflow_context: WorkflowContext | None = None
    ) -> BatchResults:
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
        trace = self._own_trace or (Trace() if self.trace else None)
        watching = WatchOptions(self.progress, trace)
        results = BatchResults(trace=trace)
        time = get_clock(asyncio.get_running_loop())
        started = time()
        if self._overrides("batch_as_completed"):
            async with aclosing(self._told(inputs, workflow_context, watching)) as completed:
                results.extend([result async for result in completed])
        else:
            unlimited = Buffering(overflow=OverflowStrategy.BUFFER)
            await drain(self._plan(inputs, workflow_context, unlimited, watching), results.append)
        results.sort(key=attrgetter("index"))
        results.seconds = time() - started
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

    def batch_in_chunks(
        self,
        inputs: Source[Any],
        chunk_size: int,
        workflow_context: WorkflowContext | None = None,
    ) -> AsyncGenerator[list[BatchResult], None]:
        """Process the inputs and yield lists of ``chunk_size`` results, in input order.

        The inputs of the next chunk start before the last of this one have ended, and no more
        inputs are pulled than :meth:`batch_as_completed` would.

        Args:
            inputs: As for :meth:`batch_as_completed`.
            chunk_size: Results in a list; the last list may be shorter.
            workflow_context: State that the whole run shares; a fresh one by default.

        Returns:
            An async generator; leave it early with ``contextlib.aclosing``. Errors are those of
            :meth:`batch_as_completed`.
        """
        chunk_size = check_positive_int(chunk_size, "chunk_size")
        if self._overrides("batch_as_completed"):
            completed = self._completed(inputs, workflow_context)
            return in_chunks(in_index_order(completed), chunk_size)
        plan = self._plan(inputs, workflow_context, Buffering())
        return in_chunks(CloseableAsyncIterator(plan.pipe(in_order)), chunk_size)

    async def retry_failed(
        self,
        results: Iterable[BatchResult],
        attempts: int = 3,
        wait: Wait | None = None,
        workflow_context: WorkflowContext | None = None,
    ) -> BatchResults:
        """Process again what failed, and return all results, each at its own index, in order.

        Args:
            results: Results of an earlier batch; those that succeeded are kept as they are.
            attempts: How often to try again, at most.
            wait: Seconds before each try, or a tenacity wait strategy. The default is an
                exponential backoff with jitter: about 1, 2, 4, … seconds, at most 60.
            workflow_context: State that the tries share; a fresh one for each by default.
        """
        attempts = check_positive_int(attempts, "attempts")
        latest = list(results)
        for seconds in generate_waits(wait, attempts):
            failed = [place for place, result in enumerate(latest) if not result.success]
            if not failed:
                break
            await asyncio.sleep(seconds)
            # In the order of their indexes, in which a checkpoint looks for them.
            failed.sort(key=lambda place: latest[place].index)
            retried = await self._again([latest[place] for place in failed], workflow_context)
            for place, result in zip(failed, retried, strict=True):
                latest[place] = result
        return BatchResults(sorted(latest, key=attrgetter("index")))

    async def _again(
        self, failed: list[BatchResult], workflow_context: WorkflowContext | None
    ) -> BatchResults:
        inputs = [result.input_data for result in failed]
        indexes = [result.index for result in failed]
        if self.checkpoint is None:
            try:
                results = await call_with_context(self.batch, inputs, workflow_context)
            except NodeError as error:
                if error.index is None:
                    raise
                index = indexes[error.index]
                raise NodeError(error.node_id, error.error, index) from error.__cause__
            for index, result in zip(indexes, results, strict=True):
                result.index = index
            return results
        results = BatchResults()
        plan = self._plan(inputs, workflow_context, Buffering(), indexes=indexes)
        await drain(plan, results.append)
        results.sort(key=attrgetter("index"))
        return results

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
        shared = self._shared(workflow_context)
        time = get_clock(asyncio.get_running_loop())
        return await processing(self.node, shared, time)((index, input_data))

    def _plan(
        self,
        inputs: Source[Any],
        workflow_context: WorkflowContext | None,
        buffering: Buffering,
        watching: WatchOptions | None = None,
        indexes: Sequence[int] | None = None,
    ) -> Plan[BatchResult]:
        source = as_source(inputs, "inputs")
        watching = watching or WatchOptions(self.progress, self._own_trace)
        run = BatchRun(
            self.node,
            self.max_concurrency,
            self.continue_on_error,
            self.checkpoint,
            self.codec,
            self._single() if self._overrides("process_single") else None,
            lambda: None if _told_of.get() is self else self._report(inputs, watching),
        )
        return run.plan(source, workflow_context, buffering, indexes)

    @property
    def _own_trace(self) -> Trace | None:
        """The trace of all runs, if there is one."""
        return self.trace if isinstance(self.trace, Trace) else None

    async def _told(
        self, inputs: Source[Any], workflow_context: WorkflowContext | None, watching: WatchOptions
    ) -> AsyncGenerator[BatchResult, None]:
        """Give the results of a subclass's own ``batch_as_completed``, and tell who watches."""
        report = self._report(inputs, watching)
        # It may build on the inherited one, which has nothing to add.
        token = _told_of.set(self)
        try:
            async with aclosing(self._completed(inputs, workflow_context)) as completed:
                async for result in completed:
                    if report is not None:
                        (stage,) = report.stages
                        stage.report_item(result.index, result.execution_time, outcome_of(result))
                    yield result
        finally:
            _told_of.reset(token)
            if report is not None:
                await report.end()

    def _report(self, inputs: object, watching: WatchOptions) -> RunReporter | None:
        stage = StageInfo(self.node.node_id, self.max_concurrency)
        return start_reporting([stage], inputs, watching, vars(self).get("events"))

    def _overrides(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(BatchProcessor, method)

    def _completed(
        self, inputs: Source[Any], workflow_context: WorkflowContext | None
    ) -> AsyncGenerator[BatchResult, None]:
        completed = call_with_context(self.batch_as_completed, inputs, workflow_context)
        return iterate_results(completed)

    def _single(self) -> Single:
        """Say how a subclass's own ``process_single`` is given the context that its run shares."""
        taking_context = accept_context(self.process_single, 2)
        if taking_context is not None:
            return taking_context

        async def process(
            input_data: Any, index: int, workflow_context: WorkflowContext
        ) -> BatchResult:
            token = _shared_by.set((self, workflow_context))
            try:
                return await self.process_single(input_data, index)
            finally:
                _shared_by.reset(token)

        return process

    def _shared(self, workflow_context: WorkflowContext | None) -> WorkflowContext:
        """Return a context that was given, or that of the run in which this is called, or one."""
        if workflow_context is not None:
            return workflow_context
        owner, shared = _shared_by.get()
        return shared if owner is self else WorkflowContext()


_shared_by: ContextVar[tuple[BatchProcessor | None, WorkflowContext]] = ContextVar(
    "nadoo_flow_shared_by", default=(None, WorkflowContext())
)
_told_of: ContextVar[BatchProcessor | None] = ContextVar("nadoo_flow_told_of", default=None)


def _checkpoint(value: object) -> Checkpoint:
    from ..checkpoint import as_checkpoint

    return as_checkpoint(value)
