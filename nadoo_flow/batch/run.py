"""One run of a batch: inputs go through the node, and past a checkpoint if there is one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from reactivex import Observable, throw

from ..events import FINISHED
from ..nodes.context import WorkflowContext, check_workflow_context
from ..nodes.holding import warn_of
from ..nodes.item_keys import ItemKeys
from ..nodes.node import BaseNode
from ..results.batch_result import BatchResult
from ..streams import (
    Buffering,
    Indexed,
    Plan,
    Source,
    Subscription,
    Valve,
    emit,
    flat_map,
    map_directly,
)
from .item import ItemWork, NodeWork, ProcessSingle, RaiseFailures, SingleWork, make_item_end
from .outcome import Outcome
from .reporting import BatchReporting

if TYPE_CHECKING:
    from ..checkpoint import Checkpoint, Codec, Journal, Recording, StepsFile
    from ..dead_letters import FailedTo, FailureSink
    from .limits import LimitedRun, Limits


@dataclass(frozen=True)
class BatchRun:
    """The parts of a run of a batch.

    Attributes:
        node: The node.
        max_concurrency: Most inputs that are processed at a time.
        continue_on_error: Whether a failed input is a failed result, or ends the run.
        checkpoint: Records successes, if there is one.
        steps: Records each node of a pipeline instead, if there is one.
        codec: Encodes outputs for the checkpoint.
        key: Finds the key of an input, if inputs of equal key are processed one after the other.
        failed_to: Opens what takes the failures, if anything does.
        single: Processes one input in the place of the node, if a subclass overrides that.
        reporting: Reports the run.
        valve: Drains the run, if there is one.
        limits: Its limits, if it has some.
    """

    node: BaseNode
    max_concurrency: int
    continue_on_error: bool
    checkpoint: Checkpoint | None
    steps: StepsFile | None
    codec: Codec | None
    key: Callable[[Any], Hashable] | None
    failed_to: FailedTo | None
    single: ProcessSingle | None
    reporting: BatchReporting
    valve: Valve | None
    limits: Limits | None

    def plan(
        self,
        source: Source[Any],
        workflow_context: WorkflowContext | None,
        buffering: Buffering,
        outcome: Outcome,
        indexes: Sequence[int] | None = None,
    ) -> Plan[BatchResult]:
        """Plan to run over a source, whose items have other indexes if some are given."""
        given = check_workflow_context(workflow_context)

        def build(run: Subscription) -> Observable[BatchResult]:
            try:
                sink = self._open_failed_to(run)
            except Exception as error:
                return throw(error)
            shared = WorkflowContext() if given is None else given
            recording, journal = self._make_recording(run), self._open_journal(run)
            keys = None if self.key is None else ItemKeys(self.key)
            work = self._make_work(shared, run.turn.time, recording, journal, keys, sink)
            reported = buffering
            if (reporter := self.reporting.start(run)) is not None:
                (stage,) = reporter.stages
                work = stage.with_events(work, make_item_end)
                reported = buffering.with_drop_handler(stage.report_overflow)
                if recording is not None:
                    recording.on_resumed = partial(stage.report_item, seconds=None, end=FINISHED)
            limited = self._limit(run)
            outcome.add(run, limited)
            if limited is not None:
                work = limited.watch(work)
            items: Observable[Indexed[Any]] = emit(run, source, reported)
            if indexes is not None:
                items = _replace_indexes(items, indexes)
            if journal is not None:
                items = journal.hold_until_open(items)
            lanes = flat_map(
                run,
                work,
                self.max_concurrency,
                self.node.isolate,
                keys,
                warn_of(self.node),
                run.drop_unstarted,
            )
            if recording is None:
                return items.pipe(lanes)
            return items.pipe(recording.skip_recorded, lanes, recording.record_results)

        return Plan(build, self.max_concurrency, valve=self.valve)

    def _limit(self, run: Subscription) -> LimitedRun | None:
        if self.limits is None:
            return None
        from .limits import LimitedRun

        return LimitedRun(self.limits, run)

    def _make_recording(self, run: Subscription) -> Recording | None:
        if self.checkpoint is None:
            return None
        from ..checkpoint import Recording

        node = self.node
        return Recording(run, self.checkpoint, self.codec, node.node_id, node.node_type)

    def _open_journal(self, run: Subscription) -> Journal | None:
        if self.steps is None:
            return None
        from .recorded_pipeline import open_journal

        return open_journal(run, self.steps, self.node, self.codec)

    def _open_failed_to(self, run: Subscription) -> FailureSink | None:
        if self.failed_to is None:
            return None
        sink = self.failed_to()

        async def close() -> None:
            sink.close()

        run.add_cleanup(close)
        return sink

    def _make_work(
        self,
        shared: WorkflowContext,
        time: Callable[[], float],
        recording: Recording | None,
        journal: Journal | None,
        keys: ItemKeys | None,
        sink: FailureSink | None,
    ) -> ItemWork:
        """Return the work on one item of a run."""
        work: ItemWork
        if journal is not None:
            from .recorded_pipeline import RecordedPipelineWork

            work = RecordedPipelineWork(self.node, journal, shared, time)
        elif self.single is None:
            work = NodeWork(self.node, shared, time)
        else:
            work = SingleWork(self.single, shared, time)
        if keys is not None:
            work = keys.check_before(work)
        if recording is not None:
            work = recording.encode_after(work)
        if sink is not None:
            from .letters import LetterWork

            work = LetterWork(work, sink)
        return work if self.continue_on_error else RaiseFailures(self.node.node_id, work)


def _replace_indexes(
    items: Observable[Indexed[Any]], indexes: Sequence[int]
) -> Observable[Indexed[Any]]:
    def replace_index(indexed: Indexed[Any]) -> Indexed[Any]:
        return indexes[indexed[0]], indexed[1]

    return items.pipe(map_directly(replace_index))
