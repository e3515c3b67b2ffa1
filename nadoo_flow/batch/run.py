"""How a batch runs: each input through the node, in lanes, recorded and reported if so wished."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

from reactivex import Observable

from ..errors import NO_MESSAGE, NodeError
from ..events import FINISHED, ItemEnd, RunReporter
from ..nodes.context import NodeContext, NodeResult, WorkflowContext, as_input
from ..nodes.execution import check_result, make_item_failure, require_awaitable
from ..nodes.node import BaseNode
from ..results.batch_result import BatchResult
from ..streams import Buffering, Indexed, InOrder, Plan, Source, Subscription, emit, flat_map
from .overrides import sound_result

if TYPE_CHECKING:
    from ..checkpoint import Checkpoint, Codec, Recording

    Result: TypeAlias = Coroutine[Any, Any, BatchResult]
    Single: TypeAlias = Callable[[Any, int, WorkflowContext], Awaitable[BatchResult]]
    Work: TypeAlias = Callable[[Indexed[Any]], Result]


@dataclass(frozen=True)
class BatchRun:
    """What a run of a batch does with its inputs.

    Attributes:
        node: The node.
        max_concurrency: Most inputs in work at a time.
        continue_on_error: Whether a failed input is a failed result, or ends the run.
        checkpoint: Where successes are recorded, if anywhere.
        codec: How outputs are stored there.
        single: How one input is processed, if not as :func:`processing` does.
        report: Begins to report a run, if anybody watches.
    """

    node: BaseNode
    max_concurrency: int
    continue_on_error: bool
    checkpoint: Checkpoint | None
    codec: Codec | None
    single: Single | None
    report: Callable[[], RunReporter | None]

    def plan(
        self,
        source: Source[Any],
        workflow_context: WorkflowContext | None,
        buffering: Buffering,
        indexes: Sequence[int] | None = None,
    ) -> Plan[BatchResult]:
        """Plan to run over a source, whose items have other indexes if some are given."""

        def build(run: Subscription) -> Observable[BatchResult]:
            shared = WorkflowContext() if workflow_context is None else workflow_context
            recording = self._recording(run)
            work = self._work(shared, run.turn.time, recording)
            told = buffering
            if (report := self.report()) is not None:
                run.add_cleanup(report.end)
                (stage,) = report.stages
                work = stage.with_events(work, outcome_of)
                told = buffering.with_drop_handler(stage.report_overflow)
                if recording is not None:
                    recording.on_resumed = partial(stage.report_item, seconds=None, end=FINISHED)
            items: Observable[Indexed[Any]] = emit(run, source, told)
            if indexes is not None:
                items = _renumbered(items, indexes)
            lanes = flat_map(run, work, self.max_concurrency, self.node.isolate)
            if recording is None:
                return items.pipe(lanes)
            return items.pipe(recording.skip_recorded, lanes, recording.record_results)

        return Plan(build, self.max_concurrency)

    def _recording(self, run: Subscription) -> Recording | None:
        if self.checkpoint is None:
            return None
        from ..checkpoint import Recording

        node = self.node
        return Recording(run, self.checkpoint, self.codec, node.node_id, node.node_type)

    def _work(
        self, shared: WorkflowContext, time: Callable[[], float], recording: Recording | None
    ) -> Work:
        """Say how one item of a run is processed."""
        if self.single is None:
            work = processing(self.node, shared, time)
        else:
            work = _singly(self.single, shared, time)
        if recording is not None:
            work = recording.encode_after(work)
        return work if self.continue_on_error else partial(_must_succeed, self.node.node_id, work)


def processing(
    node: BaseNode, workflow_context: WorkflowContext, time: Callable[[], float]
) -> Work:
    """Say how one input goes through the node; a failure is a failed result."""

    async def process(indexed: Indexed[Any]) -> BatchResult:
        index, input_data = indexed
        started = time()
        try:
            # As in execute_item(), whose calls would cost 5% of a whole item.
            data = input_data if type(input_data) is dict else as_input(input_data)
            answer = node.execute(NodeContext(data), workflow_context)
            result = await (answer if type(answer) is CoroutineType else require_awaitable(answer))
            if (
                type(result) is NodeResult
                and result.success is True
                and result.error is None
                and result.exception is None
                and type(metadata := result.metadata) is dict
            ):
                seconds = time() - started
                return BatchResult(
                    index, input_data, True, result.output, None, seconds, None, metadata
                )
            result = check_result(result)
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            result = make_item_failure(error)
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

    return process


def outcome_of(result: BatchResult) -> ItemEnd:
    """Say what became of an item, for those who watch."""
    return FINISHED if result.success else ("failed", result.error)


def in_order(results: Observable[BatchResult]) -> Observable[BatchResult]:
    """Put results in the order of their indexes."""
    from reactivex import operators as ops

    def numbered(result: BatchResult) -> Indexed[BatchResult]:
        return result.index, result

    return results.pipe(ops.map(numbered), InOrder[BatchResult]().operator, ops.map(itemgetter(1)))


def _renumbered(
    items: Observable[Indexed[Any]], indexes: Sequence[int]
) -> Observable[Indexed[Any]]:
    from reactivex import operators as ops

    def renumbered(indexed: Indexed[Any]) -> Indexed[Any]:
        return indexes[indexed[0]], indexed[1]

    return items.pipe(ops.map(renumbered))


def _singly(single: Single, shared: WorkflowContext, time: Callable[[], float]) -> Work:
    """Say how a subclass's own ``process_single`` is called; its failure is a failed result."""

    async def work(indexed: Indexed[Any]) -> BatchResult:
        index, input_data = indexed
        started = time()
        try:
            answer: Any = single(input_data, index, shared)
            result = await answer if inspect.isawaitable(answer) else answer
            return sound_result(result, "process_single")
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            failed = make_item_failure(error)
        seconds = time() - started
        return BatchResult(index, input_data, False, None, failed.error, seconds, failed.exception)

    return work


async def _must_succeed(node_id: str, work: Work, indexed: Indexed[Any]) -> BatchResult:
    result = await work(indexed)
    if result.success:
        return result
    raise NodeError(node_id, result.error or NO_MESSAGE, indexed[0]) from result.exception
