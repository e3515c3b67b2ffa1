"""Whether items of equal key were worked on one after the other, in the order of the source."""

from __future__ import annotations

from collections.abc import Iterator

from .case import Batch, Case, Leaf, Policy, Several, Work
from .ledger import Execution, Ledger


def check_keys(case: Case, ledger: Ledger) -> None:
    """Check the executions of each leaf whose items have keys."""
    for name, keys in _keyed(case):
        latest: dict[int, Execution] = {}
        for execution in ledger.executions:
            if execution.name != name:
                continue
            before = latest.get(execution.key % keys)
            latest[execution.key % keys] = execution
            if before is None or before.key == execution.key:
                continue
            if before.ended is None or before.ended > execution.began:
                ledger.find(f"two items of one key are in {name} at a time")
            if before.key > execution.key:
                ledger.find(f"items of one key are in {name} in another order than in the source")


def _keyed(case: Case) -> Iterator[tuple[str, int]]:
    """Yield the leaves that see the inputs as they are, with the number of their keys."""
    if isinstance(case.what, Batch):
        if case.what.keys and case.way != "lanes":
            for name in _leaves(case.what.work):
                yield name, case.what.keys
        return
    for stage in case.what:
        if stage.kind not in ("map", "filter", "flat_map"):
            return
        if stage.keys and case.way != "flat_map":
            for name in _leaves(stage.work):
                yield name, stage.keys
        if stage.keys and stage.many is not None:
            yield stage.many.name, stage.keys


def _leaves(work: Work) -> Iterator[str]:
    """Yield the leaves of a node, without those whose items are its own."""
    match work:
        case Leaf():
            yield work.name
        case Several(_, nodes):
            for node in nodes:
                yield from _leaves(node)
        case Policy("shared_cache"):
            pass
        case Policy():
            yield from _leaves(work.node)
            for other in work.others:
                yield from _leaves(other)
