"""Whether what is recorded is all that is paid for, and is not executed again."""

from __future__ import annotations

from dataclasses import replace

from .case import FOREVER, Act, Batch, Case, Ending, Leaf, Nested, Policy, Several, Stage, Work
from .chain_books import check_chain
from .checkpoints import MemoryCheckpoint
from .endings import End
from .ledger import Ledger
from .memory_steps import MemorySteps
from .watching import Watchers


def case_of_second_run(case: Case) -> Case:
    """Return the case that is run after one that has left a checkpoint: to the end of the inputs.

    The code inside behaves then if it would not end by itself.
    """
    what, source = case.what, case.source
    endless = str(FOREVER) in repr(what) or "forever" in repr(what)
    if isinstance(what, Batch) and endless:
        what = replace(what, work=_tamed(what.work))
    elif not isinstance(what, Batch) and endless:
        what = tuple(map(_tame_stage, what))
    if source.length is None:
        source = replace(source, length=10)
    acts = tuple((position, act) for position, act in source.acts if act.seconds < FOREVER)
    source = replace(source, acts=tuple(pair for pair in acts if pair[1].kind != "forever"))
    return replace(case, what=what, source=source, ending=Ending(), is_second=True)


def check_checkpoint(
    case: Case,
    end: End,
    ledger: Ledger,
    watchers: Watchers,
    checkpoint: MemoryCheckpoint | MemorySteps | None,
) -> None:
    """Check what a run has executed, and what it has left in its checkpoint."""
    if isinstance(checkpoint, MemorySteps) and not isinstance(case.what, Batch):
        check_chain(case, case.what, end, ledger, checkpoint)
    if not isinstance(checkpoint, MemoryCheckpoint) or not isinstance(case.what, Batch):
        return
    checkpoint.check_end()
    if isinstance(case.what.work, Leaf):
        executed = {execution.key for execution in ledger.executions}
        if again := sorted(executed & checkpoint.before):
            ledger.find(f"items {again} are executed again")
    orderly = not (ledger.fatal or ledger.closed_from_inside or checkpoint.has_failed)
    if case.what.continue_on_error and orderly:
        _check_nothing_is_lost(ledger, watchers, checkpoint)


def _check_nothing_is_lost(
    ledger: Ledger, watchers: Watchers, checkpoint: MemoryCheckpoint
) -> None:
    """Check that all that had succeeded before the run was asked to end is recorded."""
    for event in (event for notes in watchers.notes_of_all() for event in notes.events):
        # The turn of the loop in which it was asked may have taken a little time.
        in_time = ledger.asked_at is None or event.time < ledger.asked_at - 0.1
        if event.kind == "finished" and in_time and event.index not in checkpoint.records:
            ledger.find(f"item {event.index} had succeeded and is not recorded")


def _tamed(work: Work) -> Work:
    """Replace all that code inside does by a short sleep."""
    match work:
        case Leaf():
            return replace(work, acts=(Act("sleep", 0.1),))
        case Several(_, nodes):
            return replace(work, nodes=tuple(map(_tamed, nodes)))
        case Policy():
            others = tuple(map(_tamed, work.others))
            return replace(work, node=_tamed(work.node), others=others)
        case Nested():
            return replace(work, stages=tuple(map(_tame_stage, work.stages)))


def _tame_stage(stage: Stage) -> Stage:
    """Replace what the code inside does, but leave the outputs that each item gives.

    An item that has failed may be recorded with the outputs of a fallback, so it fails again.
    """
    many = stage.many
    if many is not None:
        acts = tuple(tuple(map(_tame_act, each)) for each in many.acts)
        many = replace(many, acts=acts)
    return replace(stage, work=_tamed(stage.work), many=many)


def _tame_act(act: Act) -> Act:
    """Replace an act that would not end by itself by a sleep that is too long for any timeout."""
    endless = act.kind == "forever" or act.seconds >= FOREVER
    return Act("sleep", 200.0) if endless else act
