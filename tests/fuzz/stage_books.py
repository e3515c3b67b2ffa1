"""Whether the right items come out of list stages."""

from __future__ import annotations

from collections import Counter

from nadoo_flow import NodeError

from .answers import is_sound
from .case import Batch, Case, Stage
from .endings import End
from .facts import TO_THE_END, given_inputs, source_failure, subscribes_again
from .ledger import Ledger
from .model import Failed, Outcome, fate_of_stages
from .source_model import items_of


def check_stages(case: Case, stages: tuple[Stage, ...], end: End, ledger: Ledger) -> None:
    """Check what came out, and the end, against what a list would give."""
    received = ledger.received
    simple = all(stage.kind in ("map", "filter", "pass") for stage in stages)
    if simple:
        if len(set(received)) != len(received):
            ledger.find("an item came out more than once")
        if not set(received) <= set(given_inputs(case, ledger)):
            ledger.find("an item came out that is none of the inputs")
    for result in ledger.results:
        if not is_sound(result):
            ledger.find(f"the result of a stage is not sound: {result}")
    own = sum(bool(stage.own) for stage in stages)
    executed = case.way in ("run", "execute") and end.kind == "completed"
    if executed and ledger.own_executions != own:
        ledger.find(f"{own} stages override execute, {ledger.own_executions} were executed")
    to_the_end = case.ending.kind in TO_THE_END and not ledger.closed_from_inside
    if not to_the_end or ledger.fatal:
        return
    items = items_of(case.source)
    if items is None:
        return
    error = None if source_failure(case) is None else Failed()
    outcome = fate_of_stages(stages, list(range(items)), error)
    if outcome is None:
        _check_counts(case, ledger)
        return
    _check_outcome(case, stages, outcome, end, ledger)


def _check_outcome(
    case: Case, stages: tuple[Stage, ...], outcome: Outcome, end: End, ledger: Ledger
) -> None:
    clear = _is_clear_error(case, end)
    if (outcome.error is None) != (end.kind == "completed") and not clear:
        ledger.find(f"it should end with {outcome.error!r}, and ends with {end.error!r}")
    if clear or (end.kind != "completed" and case.way in ("run", "execute")):
        return
    if outcome.error is not None and not outcome.values:
        return
    received, expected = [*map(repr, ledger.received)], [*map(repr, outcome.values)]
    in_order = case.ordered or case.way in ("run", "execute")
    # Items of the source come when they come, and those that are found between them.
    in_order = in_order and not any(stage.kind == "expand" for stage in stages)
    same = received == expected if in_order else Counter(received) == Counter(expected)
    if not same:
        ledger.find(f"wrong items came out: {', '.join(received)}; right are {', '.join(expected)}")
    _check_counts(case, ledger, outcome.failed)


def _is_clear_error(case: Case, end: End) -> bool:
    """Tell whether an operator that subscribes again was refused, which is allowed."""
    return subscribes_again(case) and isinstance(end.error, (NodeError, RuntimeError))


def _check_counts(case: Case, ledger: Ledger, failed: int | None = None) -> None:
    """Check the errors that a chain itself counts."""
    stages = () if isinstance(case.what, Batch) else case.what
    if subscribes_again(case) or any(stage.stays_apart for stage in stages):
        return
    for result in ledger.results:
        if not result.success:
            continue
        errors = result.metadata["errors"]
        places = {(error.get("stage"), error["index"]) for error in errors}
        # Items have other numbers behind some stages, and stages of one kind have one name. Behind
        # one of many outputs all those of an item have its number.
        is_renumbered = any(stage.kind in ("operator", "flat_map", "expand") for stage in stages)
        if len(places) != len(errors) and not is_renumbered:
            ledger.find("an item failed twice")
        if failed is not None and len(errors) != failed:
            ledger.find(f"{failed} items failed, and {len(errors)} errors are counted")
