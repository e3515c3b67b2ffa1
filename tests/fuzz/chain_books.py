"""Whether a chain that goes on executes nothing again, and hands out only what is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nadoo_flow.stages.recorded_outputs import END

from .act_model import Verdict
from .case import Case, Leaf, Stage
from .endings import End
from .ledger import Ledger
from .memory_steps import MemorySteps
from .model import fate

RECORDED = ("map", "filter", "flat_map", "reduce")
"""Stages whose items are known again."""


def check_chain(
    case: Case, stages: tuple[Stage, ...], end: End, ledger: Ledger, steps: MemorySteps
) -> None:
    """Check what a run of a chain has executed, and what it has left in its checkpoint."""
    steps.check_end()
    for number, stage, name in _get_simple_stages(stages):
        done = {
            int(item)
            for place, item, output in steps.before
            if place == str(number) and (output == END or stage.kind != "flat_map")
        }
        executed = {execution.key for execution in ledger.executions if execution.name == name}
        if again := sorted(executed & done):
            ledger.find(f"items {again} are executed again in stage {number}")
    if steps.earlier is not None and not steps.has_failed:
        _check_repeated(steps.stages, ledger, steps.earlier)
    orderly = not (ledger.fatal or ledger.closed_from_inside or steps.has_failed)
    # What a failure or the timeout of a drain has cut off has not succeeded.
    if orderly and end.kind != "error" and case.ending.kind != "drain":
        _check_nothing_is_lost(stages, ledger, steps)


def receive_recorded(stages: tuple[Stage, ...], steps: MemorySteps, output: Any) -> None:
    """Check an output when it is handed out."""
    last = len(stages) - 1
    simple = [number for number, *_ in _get_simple_stages(stages)]
    if stages[-1].kind not in ("map", "filter") or last not in simple:
        return
    if (str(last), str(output), 0) not in steps.records:
        steps.ledger.find("an output is handed out before it is recorded")


def _check_repeated(stages: tuple[Stage, ...], ledger: Ledger, earlier: Ledger) -> None:
    """Check that of what would have succeeded no more is executed again than was in work."""
    repeated = lanes = 0
    for _, stage, name in _get_simple_stages(stages):
        if stage.kind == "flat_map" or not isinstance(stage.work, Leaf):
            continue
        before, now = (
            {execution.key for execution in books.executions if execution.name == name}
            for books in (earlier, ledger)
        )
        successes = {key for key in before if fate(stage.work, key).verdict is Verdict.SUCCESS}
        repeated += len(successes & now)
        lanes += stage.limit
    if repeated > lanes:
        ledger.find(f"{repeated} executions are repeated, with {lanes} lanes")


def _check_nothing_is_lost(stages: tuple[Stage, ...], ledger: Ledger, steps: MemorySteps) -> None:
    """Check that all that had succeeded before the run was asked to end is recorded."""
    simple = {name: (number, stage) for number, stage, name in _get_simple_stages(stages)}
    if len(simple) < len(stages) or "flat_map" in (stage.kind for stage in stages):
        return
    missing = []
    for one in ledger.executions:
        number, stage = simple[one.name]
        succeeds = fate(stage.work, one.key).verdict is Verdict.SUCCESS
        if not succeeds and not stage.continue_on_error:
            return  # it has ended the run, and with it what was in work
        # The turn of the loop in which it was asked may have taken a little time.
        in_time = ledger.asked_at is None or (one.ended or 0.0) < ledger.asked_at - 0.1
        if in_time and succeeds and (str(number), str(one.key), 0) not in steps.records:
            missing.append(f"item {one.key} of stage {number}")
    if missing:
        ledger.find(f"{', '.join(missing)} had succeeded and is not recorded")


def _get_simple_stages(stages: tuple[Stage, ...]) -> Iterator[tuple[int, Stage, str]]:
    """Give the stages whose items are those of the source, with the names of their functions."""
    for number, stage in enumerate(stages):
        if stage.kind == "flat_map":
            assert stage.many is not None
            yield number, stage, stage.many.name
            return
        if stage.kind not in ("map", "filter"):
            return
        if isinstance(stage.work, Leaf):
            yield number, stage, stage.work.name
