"""Neighbouring list stages as one chain of Rx operators, through which items flow one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from reactivex import Observable

from ..checkpoint import StepRecord
from ..errors import NodeError
from ..events import ItemEnd, RunReporter, StageReporter, note_failure, note_usage
from ..nodes.context import NodeResult, WorkflowContext
from ..nodes.usage import has_usage
from ..streams import (
    Indexed,
    InOrder,
    Subscription,
    Work,
    allow_one_subscription,
    end_when_cut,
)
from .indexes import get_source_index
from .recording import RecordedWork, Recorder

R = TypeVar("R")

Items: TypeAlias = Observable[Indexed[Any]]
Operator: TypeAlias = Callable[[Items], Items]
OnFailed: TypeAlias = Callable[[str, int, str], None]
OnUsage: TypeAlias = Callable[[dict[str, Any]], None]


class FailingStage(Protocol):
    """A stage that may go on without failed items."""

    node_id: str
    continue_on_error: bool


@dataclass(frozen=True)
class StageRun:
    """What the operator of a stage needs to know of the run that it is built for.

    Attributes:
        run: The subscription.
        workflow_context: State that the run shares.
        on_failed: Called for each failed item that the run goes on without, with the id of the
            stage, the index of the item, and the error.
        on_usage: Called with the metadata of each answer that says what it used.
        on_dropped: Settles an item, named by its index, that goes no further.
        ordered: Whether what the stage emits must be in order.
        drop_unstarted: Settles a number of items that are not started because the run is drained.
            None if the stage is not the first one, whose items are finished.
        indexed: Whether the indexes must tell the source item, by which errors of stages behind,
            and the outputs of a stream with indexes, name it.
        report: Makes the events of the stage, if the run is watched.
        recorder: Records what the stage makes of items, if the run has a checkpoint.
    """

    run: Subscription
    workflow_context: WorkflowContext
    on_failed: OnFailed
    on_usage: OnUsage
    on_dropped: Callable[[int], None]
    ordered: bool
    drop_unstarted: Callable[[int], None] | None = None
    indexed: bool = False
    report: StageReporter | None = None
    recorder: Recorder | None = None

    def leave_out(self, stage: FailingStage, index: int, error: str, failed: NodeResult) -> None:
        """Go on without an item, or what is left of it.

        Args:
            stage: The stage in which it failed.
            index: Its index.
            error: Why, in words.
            failed: The failure.

        Raises:
            NodeError: If the stage does not go on without failed items.
        """
        index = get_source_index(index)
        if not stage.continue_on_error:
            raise NodeError(stage.node_id, error, index) from failed.exception
        if self.report is not None:  # or it would be that of an item around the run
            note_failure(error, failed.exception)
        self.on_failed(stage.node_id, index, error)

    def count_usage(self, answer: NodeResult) -> None:
        """Count what a node used for an item, which has failed or not."""
        if has_usage(answer):
            (self.on_usage if self.recorder is None else self.recorder.note_usage)(answer.metadata)
            if self.report is not None:
                note_usage(answer.metadata)

    def report_work(
        self, work: Work[Indexed[Any], R], outcome: Callable[[R], ItemEnd] | None = None
    ) -> Work[Indexed[Any], R]:
        """Return the work of the stage, wrapped so that it makes events if the run is watched."""
        return work if self.report is None else self.report.with_events(work, outcome)

    def record_work(
        self,
        work: Work[Indexed[Any], Indexed[Any]],
        encode: Callable[[Recorder, Any], bytes | None],
        decode: Callable[[Recorder, StepRecord, Any], Any],
    ) -> Work[Indexed[Any], Indexed[Any]]:
        """Return the work of the stage, which is not done again where it is recorded.

        Args:
            work: The work, which emits items under the indexes of those that it gets.
            encode: Encodes a value that it returns; None for one that is not to be recorded.
            decode: Makes the value again, of its record and of the value of the item.
        """
        recorder = self.recorder
        if recorder is None:
            return work
        return RecordedWork(recorder, work, partial(encode, recorder), partial(decode, recorder))

    def enter(self, part: str) -> StageRun:
        """Return what the operator of a part of the stage needs to know, behind another part."""
        if self.recorder is None:
            return self
        return replace(self, recorder=self.recorder.enter(part))


class Link(NamedTuple):
    """What a chain needs to know of one of its stages.

    Attributes:
        node_id: The name in errors.
        needs_order: Whether its operator must see the items in order. Such a stage numbers what it
            emits anew, in order.
        flattens: Whether its operator makes many items of one. Such a stage numbers what it emits
            anew. If it is to be in order, the operator sees to that, and must see items in order.
        has_keys: Whether the items have keys, so that its operator must see them in order.
        operator: Builds the operator for one run; it may subscribe to its items once.
        recorder: Records what the stage makes of items, if the run has a checkpoint.
    """

    node_id: str
    needs_order: bool
    flattens: bool
    has_keys: bool
    operator: Callable[[StageRun], Operator]
    recorder: Recorder | None = None


def fuse(
    links: Sequence[Link],
    run: Subscription,
    workflow_context: WorkflowContext,
    on_failed: OnFailed,
    on_usage: OnUsage,
    *,
    ordered: bool,
    indexed: bool = False,
    report: RunReporter | None = None,
) -> Operator:
    """Pipe the operators of stages, and restore order only where it can be seen.

    Between two such places items overtake each other, so a slow one never holds up the others. A
    stage that drops an item reports it to each such place behind it up to the one where items are
    numbered anew, because those would wait for it otherwise.
    A stage that subscribes to its items a second time fails the run, because they pass only once.
    """

    def chain(items: Items) -> Items:
        operators: list[Operator] = []
        # The places behind a stage in which its numbers count: where order is restored.
        in_orders: list[InOrder[Indexed[Any]]] = []

        def restore_order() -> None:
            in_order = InOrder[Indexed[Any]](itemgetter(0))
            operators.append(in_order.operator)
            in_orders.append(in_order)

        if ordered:
            restore_order()
        reports = [None] * len(links) if report is None else report.stages
        drops = [run.drop_unstarted, *[None] * (len(links) - 1)]
        for link, stage_report, drop_unstarted in zip(
            reversed(links), reversed(reports), reversed(drops), strict=True
        ):
            is_ordered = bool(in_orders)
            on_dropped = _settle_dropped(run, tuple(in_orders))
            stage_run = StageRun(
                run,
                workflow_context,
                on_failed,
                on_usage,
                on_dropped,
                is_ordered,
                drop_unstarted,
                indexed or link is not links[-1],
                stage_report,
                link.recorder,
            )
            operators.append(end_when_cut(run))
            operators.append(link.operator(stage_run))
            operators.append(
                allow_one_subscription(run, partial(_refuse_second_subscription, link.node_id))
            )
            if link.needs_order or link.flattens:
                in_orders.clear()
            if link.needs_order or link.has_keys or (link.flattens and is_ordered):
                restore_order()
        return items.pipe(*reversed(operators))

    return chain


def _settle_dropped(
    run: Subscription, in_orders: Sequence[InOrder[Indexed[Any]]]
) -> Callable[[int], None]:
    def drop(index: int) -> None:
        for in_order in in_orders:
            in_order.skip(index)
        run.release()

    return drop


def _refuse_second_subscription(node_id: str) -> NodeError:
    return NodeError(
        node_id,
        "its operators subscribe more than once to the items, which pass only once; "
        "ops.share() before the others lets several subscribe at the same time (as in a zip), "
        "ops.replay(mapper=...) around them keeps the items for one that starts again (as a retry)",
    )
