"""Draws policies around nodes that are there, in any order, behind all else."""

from __future__ import annotations

from dataclasses import replace

from .case import Act, Batch, Case, Leaf, Nested, Policy, Several, Stage, Work
from .draw_acts import Drawing
from .faults import PLAIN
from .policies import (
    BREAKER,
    GIVING_UP,
    HEDGE,
    IN_THREAD,
    NUMBERS,
    PATIENT_BREAKER,
    RETRY_BUDGET,
    SHARED_CACHE,
)

_POLICIES = {
    **NUMBERS,
    "timeout": (0.3, 0.75, 1.2),
    "retry": (2.0,),
    "limit": (1.0, 2.0),
}
_SLOW = Act("sleep", 0.5)
_FAILING = Act("raise_later", 0.1, "OSError")
_HOPELESS = Act("raise", 0.0, "ValueError")
_FITTING = {
    BREAKER: ((_FAILING,), (_FAILING, _FAILING, _SLOW)),
    PATIENT_BREAKER: ((_FAILING,), (_FAILING, _FAILING, _SLOW)),
    HEDGE: ((Act("slow_once", 2.5),), (Act("slow_once", 1.0), _FAILING)),
    RETRY_BUDGET: ((_FAILING,), (_FAILING, Act())),
    GIVING_UP: ((_HOPELESS, _FAILING),),
    SHARED_CACHE: ((_SLOW,), (_SLOW, Act(), _FAILING)),
}


class PolicyDrawing(Drawing):
    """Wraps the nodes of a whole case."""

    def with_policies(self, case: Case) -> Case:
        """Draw a few policies more."""
        if case.mistake is not None or case.way == "threads" or not self.chance(0.3):
            return case
        if isinstance(case.what, Batch):
            return replace(case, what=replace(case.what, work=self._wrapped(case.what.work)))
        return replace(case, what=self._stages_wrapped(case.what))

    def _stages_wrapped(self, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        return tuple(
            replace(stage, work=self._wrapped(stage.work)) if stage.kind == "map" else stage
            for stage in stages
        )

    def _wrapped(self, work: Work) -> Work:
        """Wrap a node, and those inside it, each in a stack of policies or in none."""
        match work:
            case Several(_, nodes):
                work = replace(work, nodes=tuple(map(self._wrapped, nodes)))
            case Policy(_, node, _, others):
                others = tuple(map(self._wrapped, others))
                work = replace(work, node=self._wrapped(node), others=others)
            case Nested(_, stages):
                work = replace(work, stages=self._stages_wrapped(stages))
            case Leaf(_, "sync") if self.threads and self.chance(0.7):
                acts = tuple(self._act_in_thread() for _ in work.acts)
                work = Policy(IN_THREAD, replace(work, acts=acts))
        while self.chance(0.35):
            kind = self.one(tuple(_POLICIES))
            if isinstance(work, Leaf) and work.form != "sync" and self.chance(0.5):
                work = self._fitting(kind, work)
            work = Policy(kind, work, self.one(_POLICIES[kind]))
        return work

    def _fitting(self, kind: str, leaf: Leaf) -> Leaf:
        """Have a leaf do something in which a policy around it matters."""
        acts = self.one(_FITTING.get(kind, (leaf.acts,)))
        return replace(leaf, acts=acts)

    def _act_in_thread(self) -> Act:
        return Act("raise", 0.0, self.one(PLAIN)) if self.chance(self.evil) else Act()
