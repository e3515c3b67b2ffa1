"""Whether every output of the stages that give many is accounted for exactly once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from nadoo_flow import NodeError

from .case import Case, Leaf, ManyLeaf, Stage
from .endings import End
from .facts import TO_THE_END
from .ledger import Ledger
from .values import parent_of

STREAMING = ("stream", "observe", "as_operator")


def check_many(case: Case, stages: tuple[Stage, ...], end: End, ledger: Ledger) -> None:
    """Check the outputs of stages through which items go as they are, but for these outputs."""
    if not any(stage.many for stage in stages):
        return
    if not all(stage.kind in ("map", "filter", "flat_map", "pass") for stage in stages):
        return
    _check_received(case, stages, ledger)
    to_the_end = case.ending.kind in TO_THE_END and not ledger.closed_from_inside
    if to_the_end and not ledger.fatal:
        if end.kind == "completed":
            _check_nothing_is_lost(stages, ledger)
        _check_failures(case, stages[0], end, ledger)


def _check_received(case: Case, stages: tuple[Stage, ...], ledger: Ledger) -> None:
    received = ledger.received
    if len(set(received)) != len(received):
        ledger.find("an output came out more than once")
    if (case.ordered or case.way not in STREAMING) and received != sorted(received):
        ledger.find(f"the outputs are not in order: {received}")
    last = stages[-1].many
    if last is None:
        return
    if not set(received) <= set(ledger.given.get(last.name, ())):
        ledger.find("an output came out that was not given")
    came: Counter[int] = Counter()
    for output in received:
        parent = parent_of(output)
        if output % 10 != came[parent]:
            ledger.find(f"output {came[parent]} of item {parent} came too late, or not at all")
        came[parent] += 1


def _check_nothing_is_lost(stages: tuple[Stage, ...], ledger: Ledger) -> None:
    """Check that each output has come to the next stage, or to the consumer."""
    working = [stage for stage in stages if stage.kind != "pass"]
    for stage, following in zip(working, [*working[1:], None], strict=True):
        if stage.many is None or _may_break_off(stage):
            continue
        given = ledger.given.get(stage.many.name, [])
        if following is None:
            came = ledger.received
        elif following.around:
            continue  # some are worked on twice, and others fail before that
        elif (leaf := _leaf_of(following)) is not None:
            came = [one.key for one in ledger.executions if one.name == leaf.name]
        else:
            continue
        if Counter(given) != Counter(came):
            ledger.find(f"of the outputs {given} of {stage.many.name} came {sorted(came)}")


def _may_break_off(stage: Stage) -> bool:
    """Tell whether an output that was given may be dropped.

    A cancel that the function has left may arrive within the list it has given, and an output that
    comes in spite of a timeout is too late.
    """
    assert stage.many is not None
    if any(policy.kind in ("timeout", "each") for policy in stage.around):
        return True
    is_list = "generator" not in stage.many.form
    return is_list and "cancel_itself_and_return" in repr(stage.many.acts)


def _leaf_of(stage: Stage) -> Leaf | ManyLeaf | None:
    return stage.many or (stage.work if isinstance(stage.work, Leaf) else None)


def _check_failures(case: Case, first: Stage, end: End, ledger: Ledger) -> None:
    """Check that the error of an item says how many outputs the item had given before."""
    if first.many is None or case.what != (first,) or _may_break_off(first):
        return
    for index, text in _failures(end, ledger):
        outputs = _outputs_of(first.many, index, ledger)
        said = re.match("after ([0-9]+) outputs?: ", text)
        if len(outputs) != (int(said[1]) if said else 0):
            ledger.find(f"item {index} failed behind the outputs {outputs}: {text}")
        # In order they may have to wait for those of an item before it.
        if not case.ordered and case.way in STREAMING and not set(outputs) <= set(ledger.received):
            ledger.find(f"an error took back some of the outputs {outputs}")


def _failures(end: End, ledger: Ledger) -> Iterator[tuple[int, str]]:
    if isinstance(end.error, NodeError) and end.error.index is not None:
        yield end.error.index, str(end.error.error)
    for result in ledger.results:
        for error in result.metadata.get("errors", ()):
            yield error["index"], error["error"]


def _outputs_of(many: ManyLeaf, index: int, ledger: Ledger) -> list[int]:
    return [one for one in ledger.given.get(many.name, ()) if parent_of(one) == index]
