"""What must come of a case that runs to its end, as far as that does not depend on races."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .act_model import UNKNOWN, Fate, Verdict, fate_in_form
from .case import Leaf, Nested, Policy, Several, Stage, Work
from .many_model import fate_of_expansion, fate_of_many
from .policy_model import fate_in_policy
from .rx_operators import RESUBSCRIBING, piped_by_rx
from .values import is_kept, key_of, nested_items

_SUCCESS, _FAILURE, _EITHER = Verdict.SUCCESS, Verdict.FAILURE, Verdict.EITHER


def fate(work: Work, value: Any) -> Fate:
    """Say what becomes of an item in a node."""
    match work:
        case Leaf("none"):
            return Fate(_SUCCESS, 0, 0)
        case Leaf():
            return fate_in_form(work.form, work.acts[key_of(value) % len(work.acts)])
        case Several("pipeline" | "class_pipeline" | "instance_pipeline", nodes):
            return _in_sequence([fate(node, value) for node in nodes])
        case Several(strategy, nodes):
            return _at_once(strategy, [fate(node, value) for node in nodes])
        case Policy():
            return _with_policy(work, value)
        case Nested():
            values = nested_items(value, work.length)
            outcome = fate_of_stages(work.stages, values, None)
            again = any(name in RESUBSCRIBING for s in work.stages for name in s.operators)
            if outcome is None or again:
                return UNKNOWN
            return Fate(_SUCCESS if outcome.error is None else _FAILURE, 0, math.inf)


def _in_sequence(fates: list[Fate]) -> Fate:
    least = most = 0.0
    for one in fates:
        least, most = least + one.least, most + one.most
        if one.verdict is not _SUCCESS:
            return one if one == UNKNOWN else Fate(one.verdict, least, most)
    return Fate(_SUCCESS, least, most)


def _at_once(strategy: str, fates: list[Fate]) -> Fate:
    verdicts = {one.verdict for one in fates}
    if UNKNOWN in fates:
        return UNKNOWN
    least, most = min(one.least for one in fates), max(one.most for one in fates) + 10
    if len(verdicts) == 1:
        verdict = verdicts.pop()
        slow = strategy == "all_settled" or (
            verdict is (_SUCCESS if strategy == "all" else _FAILURE)
        )
        if slow and strategy != "race":
            least = max(one.least for one in fates)
        return Fate(verdict, least, most)
    decisive = {"all": _FAILURE, "any": _SUCCESS, "all_settled": _SUCCESS}.get(strategy)
    if decisive is None or decisive not in verdicts:
        return Fate(_EITHER, least, most)
    return Fate(decisive, least, most)


def _with_policy(policy: Policy, value: Any) -> Fate:
    if policy.kind == "shared_cache":
        value = key_of(value) % int(policy.number)
    inner = fate(policy.node, value)
    if inner == UNKNOWN:
        return UNKNOWN
    match policy.kind:
        case "timeout":
            if inner.least > policy.number:
                return Fate(_FAILURE, policy.number, policy.number + 10)
            if inner.most < policy.number:
                return inner
            return Fate(_FAILURE if inner.verdict is _FAILURE else _EITHER, inner.least, math.inf)
        case "retry":
            tries = policy.number if inner.verdict is _FAILURE else 1
            return Fate(inner.verdict, inner.least * tries, (inner.most + 0.5) * policy.number)
        case "fallback":
            for other in policy.others:
                if inner.verdict is _SUCCESS:
                    return inner
                if "ancel" in repr(policy):
                    # A task that cancelled itself may look as if the policies were cancelled.
                    return UNKNOWN
                another = fate(other, value)
                if another == UNKNOWN:
                    return UNKNOWN
                verdict = another.verdict
                if inner.verdict is _EITHER and verdict is _FAILURE:
                    verdict = _EITHER
                inner = Fate(verdict, inner.least, inner.most + another.most)
            return inner
    return fate_in_policy(policy, inner)


@dataclass(frozen=True)
class Outcome:
    """What comes out of stages.

    Attributes:
        values: The items, in input order.
        error: With what it ends, an error of any kind.
        failed: How many items the last chain goes on without, or None where that depends on races.
    """

    values: list[Any]
    error: Exception | None
    failed: int | None = 0


class Failed(Exception):
    """A stage that fails."""


def fate_of_stages(
    stages: tuple[Stage, ...], values: list[Any], error: Exception | None
) -> Outcome | None:
    """Say what comes out of stages, or None where that depends on races."""
    *chains, last = _split_into_chains(stages)
    for chain in chains:
        outcome = _fate_of_chain(chain, values, error)
        if outcome is None or outcome.error is not None:
            return outcome
        values, error = outcome.values, None
    return _fate_of_chain(last, values, error)


def _split_into_chains(stages: tuple[Stage, ...]) -> list[tuple[Stage, ...]]:
    """Split stages where one runs to its end over a whole list before the next one starts."""
    chains: list[tuple[Stage, ...]] = []
    for stage in stages:
        if chains and not stage.stays_apart and not chains[-1][-1].stays_apart:
            chains[-1] += (stage,)
        else:
            chains.append((stage,))
    return chains


def _fate_of_chain(
    stages: tuple[Stage, ...], values: list[Any], error: Exception | None
) -> Outcome | None:
    """Say what comes out of stages through which items pass one by one."""
    failed: int | None = 0
    for position, stage in enumerate(stages):
        following = stages[position + 1 :]
        match stage.kind:
            case "operator":
                values, after = piped_by_rx(stage.operators, values, error)
                if after is not None and after is not error:
                    return _failed(following)
                error = after
            case "map" | "filter" | "reduce" | "flat_map" | "expand":
                fates = _fates_in_stage(stage, values)
                if fates is None:
                    return None
                verdicts = [verdict for verdict, _ in fates]
                if _EITHER in verdicts:
                    return None
                if _FAILURE in verdicts:
                    if not stage.continue_on_error:
                        return _failed(following)
                    if failed is None or _may_have_enough(following):
                        failed = None
                    else:
                        failed += verdicts.count(_FAILURE)
                values = [output for _, outputs in fates for output in outputs]
                if stage.kind == "reduce":
                    values = [] if error is not None else [values]
    return Outcome(values, error, failed)


def _fates_in_stage(stage: Stage, values: list[Any]) -> list[tuple[Verdict, list[Any]]] | None:
    """Say what becomes of all items, or None where that depends on races."""
    if stage.kind == "expand":
        return fate_of_expansion(stage, values)
    return [_fate_in_stage(stage, value) for value in values]


def _fate_in_stage(stage: Stage, value: Any) -> tuple[Verdict, list[Any]]:
    """Say what becomes of an item, and what the stage emits of it."""
    if stage.many is not None:
        return fate_of_many(stage.many, stage.around, value)
    verdict = fate(stage.work, value).verdict
    kept = verdict is _SUCCESS and (stage.kind != "filter" or is_kept(value))
    return verdict, [value] if kept else []


def _failed(following: tuple[Stage, ...]) -> Outcome | None:
    """Say what comes of a failure, which is a race where a later stage may have enough by then."""
    return None if _may_have_enough(following) else Outcome([], Failed())


def _may_have_enough(following: tuple[Stage, ...]) -> bool:
    """Tell whether one of the later stages in a chain may end those before it."""
    return any("take" in stage.operators or stage.most for stage in following)
