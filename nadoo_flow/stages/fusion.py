"""Neighbouring list stages as one chain of Rx operators, through which items flow one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from reactivex import Observable

from ..errors import NodeError
from ..events import Outcome, RunReport, StageReport, Work
from ..nodes.context import WorkflowContext
from ..streams import Indexed, InOrder, Subscription, subscribed_once

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
        on_failed: To be told of each failed item that the run goes on without: the id of the
            stage, the index of the item, and the error.
        on_dropped: Settles an item, named by its index, that goes no further.
        report: Makes the events of the stage, if anybody watches the run.
    """

    run: Subscription
    workflow_context: WorkflowContext
    on_failed: OnFailed
    on_dropped: Callable[[int], None]
    report: StageReport | None = None

    def watched(self, work: Work[R], outcome: Callable[[R], Outcome] | None = None) -> Work[R]:
        """Return the work of the stage, wrapped if somebody watches the run."""
        return work if self.report is None else self.report.watched(work, outcome)


class Stage(Protocol):
    """One operator of a chain.

    Attributes:
        node_id: The name in errors.
        needs_order: Whether it must see its items in order. Such a stage numbers what it emits
            anew, in order.
    """

    node_id: str
    needs_order: bool

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the operator for one run; it may subscribe to its items once."""


def fuse(
    stages: Sequence[Stage],
    run: Subscription,
    workflow_context: WorkflowContext,
    on_failed: OnFailed,
    *,
    ordered: bool,
    report: RunReport | None = None,
) -> Operator:
    """Pipe the operators of stages, and restore order only where it can be seen.

    Between two such places items overtake each other, so a slow one never holds up the others. A
    stage that drops an item tells the next such place, which would wait for it otherwise. A stage
    that subscribes to its items a second time fails the run, because they pass only once.
    """

    def chain(items: Items) -> Items:
        operators: list[Operator] = []
        in_order = InOrder[Any]() if ordered else None
        if in_order is not None:
            operators.append(in_order.operator)
        reports = [None] * len(stages) if report is None else report.stages
        for stage, its_report in zip(reversed(stages), reversed(reports), strict=True):
            dropping = _dropping(run, in_order)
            stage_run = StageRun(run, workflow_context, on_failed, dropping, its_report)
            operators.append(stage.operator(stage_run))
            operators.append(subscribed_once(run, partial(_subscribed_twice, stage.node_id)))
            if stage.needs_order:
                in_order = InOrder[Any]()
                operators.append(in_order.operator)
        return items.pipe(*reversed(operators))

    return chain


def _dropping(run: Subscription, in_order: InOrder[Any] | None) -> Callable[[int], None]:
    def drop(index: int) -> None:
        if in_order is not None:
            in_order.skip(index)
        run.release()

    return drop


def _subscribed_twice(node_id: str) -> NodeError:
    return NodeError(
        node_id,
        "its operators subscribe more than once to the items, which pass only once; "
        "ops.share() before the others lets several subscribe at the same time (as in a zip), "
        "ops.replay(mapper=...) around them keeps the items for one that starts again (as a retry)",
    )
