"""Whether the items of an expansion are those that they should be."""

from __future__ import annotations

from .case import Case, Stage
from .ledger import Ledger
from .many_model import ALL_DIFFERENT
from .values import key_of, parent_in_expansion


def check_expansion(case: Case, stages: tuple[Stage, ...], ledger: Ledger) -> None:
    """Check what came out of an expansion, and what was put into it."""
    last = stages[-1]
    for stage in stages:
        if stage.kind == "expand":
            _check_executions(stage, ledger)
    if last.kind != "expand":
        return
    received = ledger.received
    if last.keys:
        keys = [key_of(item) % last.keys for item in received]
        if len(set(keys)) != len(keys):
            ledger.find("two items of an expansion have the same key")
    if last.most and len(received) > last.most:
        ledger.find(f"{len(received)} items of an expansion, which has {last.most} at most")
    found = set()
    for item in received:
        if parent_in_expansion(item) >= 0 and parent_in_expansion(item) not in found:
            ledger.find(f"item {item} came before the item that has given it")
        found.add(item)


def _check_executions(stage: Stage, ledger: Ledger) -> None:
    """Check that the outputs of each item were asked for once."""
    assert stage.many is not None
    keys = [one.key for one in ledger.executions if one.name == stage.many.name]
    again = any(policy.kind in ("retry", "fallback") for policy in stage.around)
    once = stage.keys in (0, ALL_DIFFERENT) and not again
    if once and not stage.many.repeats and len(set(keys)) != len(keys):
        ledger.find("the outputs of an item of an expansion were asked for twice")
