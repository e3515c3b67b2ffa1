"""Many inputs through one node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import partial
from operator import attrgetter

from reactivex import Observable

from .._support.backoff import Wait
from .._support.checks import check_positive_int
from .._support.clock import get_clock
from .._support.typevars import Input, Output
from ..events import WatchOptions
from ..nodes.context import WorkflowContext
from ..results.batch_result import BatchResult
from ..results.batch_results import BatchResults
from ..streams import (
    BUFFER,
    Buffering,
    CloseableAsyncIterator,
    OverflowStrategy,
    Source,
    drain,
)
from ..streams import observe as observe_plan
from ..tracing.trace import Trace
from .chunks import group_in_chunks, order_by_index, restore_order
from .iterator import ResultIterator
from .outcome import Outcome
from .overrides import call_with_context, iterate_results
from .planner import BatchPlanner
from .retrying import restore_indexes, retry_results

_UNLIMITED = Buffering(overflow=OverflowStrategy.BUFFER)


class BatchProcessor(BatchPlanner[Input, Output]):
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
        checkpoint_each: With True each node of a :class:`Pipeline` records its outputs in that
            file, each before the next node begins, so that the next run executes only what is
            missing of an input. Policies go around the nodes, as in ``a.pipe(retry()) | b``.
        codec: How outputs are stored there; as JSON by default.
        key: A function of an input, which gets what a function as a node would get. Inputs of equal
            key run one after the other, in input order, whether or not they fail; the others go
            ahead of those that wait. Those count among the inputs that are pulled ahead, so with
            all of one key a single input is in work. An input without a hashable key fails.
        failed_to: A file to which each failure is appended as a line of JSON, before its result is
            handed out; see :func:`read_failed`. Or a function, sync or async, that gets the failed
            result. If that raises, the run ends with a :class:`DeadLetterError`.
        valve: Drains all runs of the processor, as the iterator's own ``drain`` does for one.
        deadline: Seconds from the first pull. When they have passed, or another limit is reached,
            nothing more starts, what is in work is finished, and the results are returned, with the
            limit in their ``stopped``. No limit by default, as for the others.
        grace: Seconds after the deadline in which what is in work may be finished; then it is
            cancelled.
        max_failures: How many inputs may fail until then; a float below 1 is the part of those that
            were finished, from the 20th on.
        max_usage: How much may be used until then, by the names in ``metadata["usage"]``, such as
            ``{"usd": 5.0}``. What is in work then uses more.
        stop_when: A function that is called after each input with a :class:`RunningSummary`, and
            returns whether to stop. What it raises ends the run.

    Raises:
        TypeError: At the call, if the node is none, or an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> processor = BatchProcessor(lambda n: 60 // n, max_concurrency=50)
        >>> results = asyncio.run(processor.batch([1, 0, 3]))
        >>> results.outputs
        [60, 20]
        >>> [result.input_data for result in results.failed]
        [0]
    """

    async def batch(
        self, inputs: Source[Input], workflow_context: WorkflowContext | None = None
    ) -> BatchResults[Input, Output]:
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

        Example:
            >>> asyncio.run(BatchProcessor(str.upper).batch(["a", "b"])).outputs
            ['A', 'B']
        """
        trace = self._own_trace or (Trace() if self.trace else None)
        watching = WatchOptions(self.progress, trace)
        results: BatchResults[Input, Output] = BatchResults(trace=trace)
        outcome = Outcome(self, inputs)
        time = get_clock(asyncio.get_running_loop())
        started = time()
        if self._is_overridden:
            reporting = self._make_reporting(inputs, watching)
            iterate = partial(self._iterate_override, inputs, workflow_context)
            with outcome.include_inner():
                async with aclosing(reporting.report_results(iterate)) as completed:
                    results.extend([result async for result in completed])
        else:
            plan = self._plan(inputs, workflow_context, _UNLIMITED, outcome, watching)
            try:
                await drain(plan, results.append)
            except Exception as error:
                if self.failed_to is not None:
                    from .letters import keep_results

                    keep_results(error, results)
                raise
        results.stopped, results.not_started = outcome.stopped, outcome.not_started
        results.sort(key=attrgetter("index"))
        results.seconds = time() - started
        return results

    def batch_as_completed(
        self,
        inputs: Source[Input],
        workflow_context: WorkflowContext | None = None,
        *,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
    ) -> ResultIterator[Input, Output]:
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
            An async iterator; leave it early with ``async with`` or ``aclose()``. It has the
            attributes ``stopped`` and ``not_started`` of :class:`BatchResults`, and ``drain()``.

        Raises:
            TypeError: If inputs is a single value.
            NodeError: From the iterator, with ``continue_on_error=False``: the first failure, when
                the rest has ended.
            BufferOverflowError: From the iterator, after the results of all that had arrived.
            Exception: From the iterator: an error of the inputs, after the results of all that
                came before it.

        Example:
            >>> async def main():
            ...     async with BatchProcessor(str.upper).batch_as_completed(["a", "b"]) as results:
            ...         return [result.output async for result in results]
            >>> asyncio.run(main())
            ['A', 'B']
        """
        buffering = Buffering(buffer, overflow)
        outcome = Outcome(self, inputs)
        plan = self._plan(inputs, workflow_context, buffering, outcome)
        return ResultIterator(plan, outcome)

    def batch_in_chunks(
        self,
        inputs: Source[Input],
        chunk_size: int,
        workflow_context: WorkflowContext | None = None,
    ) -> AsyncGenerator[list[BatchResult[Input, Output]], None]:
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

        Example:
            >>> async def main():
            ...     chunks = BatchProcessor(str.upper).batch_in_chunks(["a", "b", "c"], 2)
            ...     return [[result.output for result in chunk] async for chunk in chunks]
            >>> asyncio.run(main())
            [['A', 'B'], ['C']]
        """
        chunk_size = check_positive_int(chunk_size, "chunk_size")
        if self._is_overridden:
            completed = self._iterate_override(inputs, workflow_context)
            return group_in_chunks(restore_order(completed), chunk_size)
        plan = self._plan(inputs, workflow_context, Buffering())
        return group_in_chunks(CloseableAsyncIterator(plan.pipe(order_by_index)), chunk_size)

    async def retry_failed(
        self,
        results: Iterable[BatchResult[Input, Output]],
        attempts: int = 3,
        wait: Wait | None = None,
        workflow_context: WorkflowContext | None = None,
    ) -> BatchResults[Input, Output]:
        """Process again what failed, and return all results, each at its own index, in order.

        Args:
            results: Results of an earlier batch; those that succeeded are kept as they are.
            attempts: How often to try again, at most.
            wait: Seconds before each try, or a tenacity wait strategy. The default is an
                exponential backoff with jitter: about 1, 2, 4, … seconds, at most 60.
            workflow_context: State that the tries share; a fresh one for each by default.

        Raises:
            DeadLetterError: If what has failed in the last try cannot be handed to ``failed_to``.

        Example:
            >>> processor = BatchProcessor(lambda n: 60 // n)
            >>> async def main():
            ...     return await processor.retry_failed(await processor.batch([1, 0]), attempts=1)
            >>> [result.success for result in asyncio.run(main())]
            [True, False]
        """
        attempts = check_positive_int(attempts, "attempts")
        process_again = partial(self._process_again, workflow_context)
        latest = await retry_results(results, attempts, wait, process_again)
        if self.continue_on_error and (failed_to := self._make_failed_to()) is not None:
            from .letters import send_failed

            await send_failed(latest, failed_to)
        return latest

    async def _process_again(
        self, workflow_context: WorkflowContext | None, failed: list[BatchResult[Input, Output]]
    ) -> BatchResults[Input, Output]:
        inputs = [result.input_data for result in failed]
        indexes = [result.index for result in failed]
        if self.checkpoint is None and self.steps is None and self.failed_to is None:
            batch = call_with_context(self.batch, inputs, workflow_context)
            return await restore_indexes(batch, indexes)
        # The checkpoint and the letters know the inputs by their indexes in the earlier batch. A
        # failure that is raised is final; any other may be tried again.
        results: BatchResults[Input, Output] = BatchResults()
        outcome = Outcome(self, inputs)
        plan = self._plan(
            inputs,
            workflow_context,
            Buffering(),
            outcome,
            indexes=indexes,
            reports_failed=not self.continue_on_error,
        )
        await drain(plan, results.append)
        results.stopped = outcome.stopped
        results.sort(key=attrgetter("index"))
        return results

    def observe(
        self,
        inputs: Source[Input],
        workflow_context: WorkflowContext | None = None,
        *,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
    ) -> Observable[BatchResult[Input, Output]]:
        """Return a cold Observable of the results as they complete.

        Every subscription is a run of its own, needs a running event loop, and is cancelled by
        ``dispose()``. Errors are those of :meth:`batch_as_completed`.

        Args:
            inputs: An iterable, an async iterable, or an Observable.
            workflow_context: State that all runs share; a fresh one for each by default.
            buffer: Most items of an Observable that may wait.
            overflow: What happens to an item more than that.

        Example:
            >>> async def main():
            ...     results = BatchProcessor(str.upper).observe(["a", "b"])
            ...     return await results  # the last one, as of any Observable
            >>> asyncio.run(main()).output
            'B'
        """
        buffering = Buffering(buffer, overflow)
        return observe_plan(self._plan(inputs, workflow_context, buffering))

    @property
    def _is_overridden(self) -> bool:
        """Whether a subclass has a ``batch_as_completed`` of its own."""
        return type(self).batch_as_completed is not BatchProcessor.batch_as_completed

    def _iterate_override(
        self, inputs: Source[Input], workflow_context: WorkflowContext | None
    ) -> AsyncGenerator[BatchResult[Input, Output], None]:
        """Iterate over the results of a subclass's own ``batch_as_completed``."""
        completed = call_with_context(self.batch_as_completed, inputs, workflow_context)
        return iterate_results(completed)
