"""Neighbouring list stages as one chain of Rx operators, through which items flow one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias, TypeVar

from reactivex import Observable

from ..errors import NodeError
from ..events import ItemEnd, RunReporter, StageReporter
from ..nodes.context import WorkflowContext
from ..streams import Indexed, InOrder, Subscription, Work, allow_one_subscription

R = TypeVar("R")

Items: TypeAlias = Observable[Indexed[Any]]
Operator: TypeAlias = Callable[[Items], Items]
OnFailed: TypeAlias = Callable[[str, int, str], None]


@dataclass(frozen=True)
class StageRun:
    """What the operator of a stage needs to know of the run that it is built for.

    Attributes:
        run: The subscription.
        workflow_context: State that the run shares.
        on_failed: Called for each failed item that the run goes on without, with the id of the
            stage, the index of the item, and the error.
        on_dropped: Settles an item, named by its index, that goes no further.
        ordered: Whether what the stage emits must be in order.
        indexed: Whether the indexes must tell the source item.
        report: Makes the events of the stage, if the run is watched.
    """

    run: Subscription
    workflow_context: WorkflowContext
    on_failed: OnFailed
    on_dropped: Callable[[int], None]
    ordered: bool
    indexed: bool = False
    report: StageReporter | None = None

    def report_work(
        self, work: Work[Indexed[Any], R], outcome: Callable[[R], ItemEnd] | None = None
    ) -> Work[Indexed[Any], R]:
        """Return the work of the stage, wrapped so that it makes events if the run is watched."""
        return work if self.report is None else self.report.with_events(work, outcome)


class Link(NamedTuple):
    """What a chain needs to know of one of its stages.

    Attributes:
        node_id: The name in errors.
        needs_order: Whether its operator must see the items in order. Such a stage numbers what it
            emits anew, in order.
        flattens: Whether its operator makes many items of one. Such a stage numbers what it emits
            anew. If it is to be in order, the operator sees to that, and must see items in order.
        operator: Builds the operator for one run; it may subscribe to its items once.
    """

    node_id: str
    needs_order: bool
    flattens: bool
    operator: Callable[[StageRun], Operator]


def fuse(
    links: Sequence[Link],
    run: Subscription,
    workflow_context: WorkflowContext,
    on_failed: OnFailed,
    *,
    ordered: bool,
    indexed: bool = False,
    report: RunReporter | None = None,
) -> Operator:
    """Pipe the operators of stages, and restore order only where it can be seen.

    Between two such places items overtake each other, so a slow one never holds up the others. A
    stage that drops an item reports it to the next such place, which would wait for it otherwise.
    A stage that subscribes to its items a second time fails the run, because they pass only once.
    """

    def chain(items: Items) -> Items:
        operators: list[Operator] = []
        in_order = InOrder[Indexed[Any]](itemgetter(0)) if ordered else None
        if in_order is not None:
            operators.append(in_order.operator)
        reports = [None] * len(links) if report is None else report.stages
        for link, stage_report in zip(reversed(links), reversed(reports), strict=True):
            on_dropped = _settle_dropped(run, in_order)
            stage_run = StageRun(
                run,
                workflow_context,
                on_failed,
                on_dropped,
                in_order is not None,
                indexed,
                stage_report,
            )
            operators.append(link.operator(stage_run))
            operators.append(
                allow_one_subscription(run, partial(_refuse_second_subscription, link.node_id))
            )
            if link.flattens and in_order is None:
                continue
            if link.needs_order or link.flattens:
                in_order = InOrder[Indexed[Any]](itemgetter(0))
                operators.append(in_order.operator)
        return items.pipe(*reversed(operators))

    return chain


def _settle_dropped(
    run: Subscription, in_order: InOrder[Indexed[Any]] | None
) -> Callable[[int], None]:
    def drop(index: int) -> None:
        if in_order is not None:
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
