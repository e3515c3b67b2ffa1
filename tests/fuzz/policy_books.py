"""Whether policies have kept what they promise, as far as the executions inside them tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from nadoo_flow.policies import CircuitChange

from .act_model import Verdict
from .case import Batch, Case, Leaf, Nested, Policy, Several, Stage, Work
from .facts import TO_THE_END
from .ledger import Execution, Ledger
from .model import fate
from .policies import GIVING_UP, HOPELESS, RECOVERY, REQUESTS, RETRIES, RETRY_BUDGET

_DISTURBING = ("timeout", "hedge", "cancel", "close", "limit", "adaptive", "breaker", "patient")
_DISTURBED = re.compile(rf"kind='({'|'.join(_DISTURBING)})|how='(race|any|all)'")
"""Parts in which an answer can be lost, or an item may not wait for that of another one."""


def check_policies(case: Case, ledger: Ledger, changes: dict[float, list[CircuitChange]]) -> None:
    """Check each policy that is directly around a leaf."""
    what = case.what
    works = [what.work] if isinstance(what, Batch) else _find_works(what)
    for work in works:
        for policy, leaf in _find_policies(work):
            executions = [one for one in ledger.executions if one.name == leaf.name]
            match policy.kind:
                case "budget":
                    _check_window(executions, int(policy.number), ledger)
                case "token_budget":
                    _check_window(executions, REQUESTS, ledger)
                case "breaker" | "patient_breaker":
                    _check_open(case, executions, changes.get(policy.number, []), ledger)
                case "shared_cache":
                    _check_cached(case, policy, leaf, executions, ledger)
        if isinstance(what, Batch):
            _check_retries(case, work, ledger)


def _find_works(stages: tuple[Stage, ...]) -> list[Work]:
    return [stage.work for stage in stages if stage.kind == "map"]


def _find_policies(work: Work) -> Iterator[tuple[Policy, Leaf]]:
    match work:
        case Policy(_, node, _, others):
            if isinstance(node, Leaf):
                yield work, node
            for inner in (node, *others):
                yield from _find_policies(inner)
        case Several(_, nodes):
            for inner in nodes:
                yield from _find_policies(inner)
        case Nested(_, stages):
            for inner in _find_works(stages):
                yield from _find_policies(inner)


def _check_window(executions: list[Execution], most: int, ledger: Ledger) -> None:
    times = sorted(execution.began for execution in executions)
    for first, last in zip(times, times[most:], strict=False):
        if last <= first + 1:
            ledger.find(f"more than {most} executions started within a second, from {first:g} s on")


def _check_open(
    case: Case, executions: list[Execution], changes: list[CircuitChange], ledger: Ledger
) -> None:
    parts = repr(case.what)
    # Others may be part of a probe, or hold what it needs.
    alone = parts.count("breaker'") == 1 and not re.search("kind='(limit|adaptive)'", parts)
    for number, change in enumerate(changes):
        following = changes[number + 1].time if number + 1 < len(changes) else float("inf")
        began = [one for one in executions if change.time < one.began < following]
        if change.state == "open" and any(one.began < change.time + RECOVERY for one in began):
            ledger.find("an execution started while its circuit was open")
        # The first probe begins when the state changes, and nothing else does.
        probes = [one for one in executions if change.time <= one.began < following]
        if alone and change.state == "half-open" and any(map(_overlap, probes, probes[1:])):
            ledger.find("two probes were made at a time")


def _overlap(earlier: Execution, later: Execution) -> bool:
    return earlier.ended is None or earlier.ended > later.began


def _check_cached(
    case: Case, policy: Policy, leaf: Leaf, executions: list[Execution], ledger: Ledger
) -> None:
    if case.ending.kind not in TO_THE_END or _DISTURBED.search(repr(case.what)):
        return
    for key, times in Counter(execution.key for execution in executions).items():
        if times > 1 and fate(leaf, key).verdict is Verdict.SUCCESS:
            ledger.find(f"an answer that is cached was computed {times} times")


def _check_retries(case: Case, work: Work, ledger: Ledger) -> None:
    """Check the tries of a batch whose node is a leaf that is retried, and nothing else."""
    if not isinstance(work, Policy) or not isinstance(work.node, Leaf):
        return
    tries = Counter(execution.key for execution in ledger.executions)
    if work.kind not in (RETRY_BUDGET, GIVING_UP):
        return
    if tries and max(tries.values()) > work.number:
        ledger.find(f"an item was tried {max(tries.values())} times")
    retries = sum(tries.values()) - len(tries)
    if work.kind == RETRY_BUDGET and retries > max(RETRIES, 0.1 * len(tries) + 1e-9):
        ledger.find(f"{retries} retries of {len(tries)} items, which is more than the budget")
    for key, times in tries.items():
        act = work.node.acts[key % len(work.node.acts)]
        if work.kind == GIVING_UP and times > 1 and act.kind == "raise" and act.error in HOPELESS:
            ledger.find("an item was tried again that was to be given up")
