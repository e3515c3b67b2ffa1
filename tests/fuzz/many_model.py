"""What must come of an item in a function of many outputs, and of those in an expansion."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .act_model import Verdict, fate_in_form
from .case import Around, ManyLeaf, Stage
from .many_nodes import make_output
from .values import key_of

_FORMS = {"async_generator": "async", "async_list": "async", "generator": "sync", "list": "sync"}

ALL_DIFFERENT = 1_000_000
"""So many keys that no two items have the same."""


class ManyFate(NamedTuple):
    """A verdict, the outputs before it, and the most seconds that both take."""

    verdict: Verdict
    outputs: list[Any]
    most: float


def fate_of_many(
    many: ManyLeaf, around: tuple[Around, ...], value: Any
) -> tuple[Verdict, list[Any]]:
    """Say what becomes of an item in a function of many outputs, and what it gives before."""
    fate = _fate_of_function(many, value)
    for policy in around:
        if policy.kind == "fallback" and "cancel_itself" in repr(many.acts):
            # A task that cancelled itself may look as if the policies were cancelled.
            return Verdict.EITHER, []
        fate = _fate_behind(policy, fate, value)
    return fate.verdict, fate.outputs


def fate_of_expansion(stage: Stage, values: list[Any]) -> list[tuple[Verdict, list[Any]]] | None:
    """Say what becomes of each item, and that it is emitted; None where it depends on races."""
    assert stage.many is not None
    if 0 < stage.keys < ALL_DIFFERENT:
        return None  # which of those with one key comes first
    fates: list[tuple[Verdict, list[Any]]] = []
    items = list(values)
    for item in items:
        verdict, outputs = fate_of_many(stage.many, stage.around, item)
        fates.append((verdict, [item]))
        items.extend(dict.fromkeys(outputs) if stage.keys else outputs)
    return None if 0 < stage.most <= len(items) else fates


def _fate_of_function(many: ManyLeaf, value: Any) -> ManyFate:
    acts = many.acts_for(key_of(value))
    outputs = [make_output(many, value, number) for number in range(len(acts) - 1)]
    most = 0.0
    for number, act in enumerate(acts):
        fate = fate_in_form(_FORMS[many.form], act)
        most += fate.most
        if fate.verdict is not Verdict.SUCCESS:
            given = outputs[:number] if "generator" in many.form else []
            return ManyFate(fate.verdict, given, most)
    return ManyFate(Verdict.SUCCESS, outputs, most)


def _fate_behind(policy: Around, fate: ManyFate, value: Any) -> ManyFate:
    if fate.verdict is Verdict.EITHER:
        return fate
    is_tried_again = fate.verdict is Verdict.FAILURE and not fate.outputs
    match policy.kind:
        case "timeout" | "each":
            return fate if fate.most < policy.number else fate._replace(verdict=Verdict.EITHER)
        case "retry" if is_tried_again:
            return fate._replace(most=(fate.most + 0.5) * policy.number)
        case "fallback" if is_tried_again:
            assert policy.other is not None
            other = _fate_of_function(policy.other, value)
            return other._replace(most=fate.most + other.most)
        case "retry" | "fallback":
            return fate
    return fate._replace(most=math.inf)  # it may have to wait
