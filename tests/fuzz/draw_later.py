"""Draws what a case has got later, behind all else, so that it stays what it was before."""

from __future__ import annotations

from dataclasses import replace

from .case import Act, Around, Batch, Case, Disk, Ending, ManyLeaf, Source, Stage
from .chain_books import RECORDED
from .draw_policies import PolicyDrawing
from .many_model import ALL_DIFFERENT

BATCH_WAYS = ("batch", "batch_as_completed", "batch_in_chunks", "observe")
STAGE_WAYS = ("run", "stream", "observe", "as_operator")
"""The ways in which a run can be given a valve."""
CHECKPOINT_WAYS = ("run", "stream", "observe")


class LaterDrawing(PolicyDrawing):
    """Draws parts that are put into a whole case."""

    def with_keys(self, what: Batch | tuple[Stage, ...]) -> Batch | tuple[Stage, ...]:
        """Draw the keys of a batch, or of each map stage."""
        if isinstance(what, Batch):
            return replace(what, keys=self.keys())
        return tuple(
            replace(stage, keys=self.keys()) if stage.kind == "map" else stage for stage in what
        )

    def keys(self) -> int:
        return self.random.randint(1, 4) if self.chance(0.3) else 0

    def with_many(self, case: Case) -> Case:
        """Put stages of many outputs between the others, or in their place."""
        what = case.what
        if isinstance(what, Batch) or case.way == "flat_map" or not self.chance(0.35):
            return case
        if case.way not in ("execute", "run") and any(stage.stays_apart for stage in what):
            return case
        stages = list(what)
        if self.chance(0.4):
            stages = []
        for _ in range(self.one((1, 1, 1, 2))):
            last = len(stages) - bool(stages and stages[-1].kind == "reduce")
            stages.insert(self.random.randint(0, last), self.many_stage())
        source = case.source
        if source.length is None:
            # There may be no output at all, and so no end.
            source = replace(source, length=30)
        as_they_are = all(stage.kind in ("map", "filter", "flat_map") for stage in stages)
        indexed = case.way in ("stream", "observe") and as_they_are and self.chance(0.5)
        return replace(case, what=tuple(stages), source=source, indexed=indexed)

    def with_early_end(self, case: Case) -> Case:
        """Have what is in work finished at a time, or when a limit is reached."""
        is_batch = isinstance(case.what, Batch)
        ways = BATCH_WAYS if is_batch else STAGE_WAYS
        if case.way not in ways or case.source.length is None or not self.chance(0.15):
            return case
        if not isinstance(case.what, Batch) and any(stage.stays_apart for stage in case.what):
            return case
        timeout = self.one((0.0, 0.5, 3.0, None))
        if "1000000" in repr(case.what) or "forever" in repr(case.what) or not is_batch:
            timeout = timeout or 0.0
        seconds, items = self.one((0.0, 0.05, 0.7, 2.2, 6.0)), self.random.randint(1, 5)
        kind = self.one(("drain", "drain", "deadline", "failures") if is_batch else ("drain",))
        if kind == "deadline":
            ending = Ending(kind, 0, max(seconds, 0.05), timeout or 0.0)
        elif kind == "failures":
            # What it does not end has to end by itself.
            ending = Ending(kind, items, 60.0, 1.0)
        else:
            ending = Ending(kind, 0, seconds, timeout)
        return replace(case, ending=ending)

    def with_records(self, case: Case) -> Case:
        """Have what a run has done recorded, and its failures handed over."""
        return self.with_letters(self.with_chain_checkpoint(case))

    def with_chain_checkpoint(self, case: Case) -> Case:
        """Have the stages of a chain recorded, and run what is missing in a second run."""
        what = case.what
        if isinstance(what, Batch) or case.way not in CHECKPOINT_WAYS:
            return case
        if self.chance(0.1):
            return self.cut_chain(case)
        if not self.chance(0.25):
            return case
        if case.source.length is None or any(stage.stays_apart for stage in what):
            return case
        if any(stage.kind not in RECORDED for stage in what):
            return case
        fails_at = self.random.randint(1, 8) if self.chance(0.15) else 0
        return replace(case, disk=Disk(self.one((0.0, 0.0, 0.3, 1.0)), fails_at))

    def cut_chain(self, case: Case) -> Case:
        """Draw a chain that is ended while a slow disk has a part of what it has done."""
        stages = tuple(
            Stage("map", self.leaf(), self.random.randint(1, 5), True)
            if self.chance(0.7)
            else Stage("filter", self.leaf(function=True), self.random.randint(1, 5))
            for _ in range(self.random.randint(1, 3))
        )
        kind = "dispose" if case.way == "observe" else self.one(("cancel", "drain"))
        seconds = self.one((0.7, 1.3, 2.2, 6.0))
        ending = Ending(kind, 0, seconds, 1.0 if kind == "drain" else None)
        source = Source(self.one(("list", "generator")), self.one((8, 13, 30)))
        disk = Disk(self.one((0.3, 1.0)))
        return replace(case, what=stages, source=source, ending=ending, disk=disk, indexed=False)

    def with_letters(self, case: Case) -> Case:
        """Have the failures of a batch handed to a function."""
        if not isinstance(case.what, Batch) or case.way == "lanes" or not self.chance(0.15):
            return case
        letters = self.one(("sync", "sync", "async", "fails"))
        return replace(case, what=replace(case.what, letters=letters))

    def with_expansion(self, case: Case) -> Case:
        """Put an expansion between other stages through which items go as they are, or alone."""
        what = case.what
        if isinstance(what, Batch) or case.way == "flat_map" or not self.chance(0.15):
            return case
        if case.way not in ("execute", "run") and any(stage.stays_apart for stage in what):
            return case
        stages = [stage for stage in what if stage.kind in ("map", "filter", "pass")]
        if stages and stages[0].kind == "pass":
            stages = []
        if self.chance(0.5):
            stages = []
        stages.insert(self.random.randint(0, len(stages)), self.expansion())
        # Each item has up to 30 descendants.
        source = replace(case.source, length=min(case.source.length or 8, 8))
        return replace(case, what=tuple(stages), source=source, indexed=False)

    def expansion(self) -> Stage:
        stage = self.many_stage()
        assert stage.many is not None
        keys = self.one((0, 0, 3, ALL_DIFFERENT))
        many = replace(stage.many, expands=True, repeats=bool(keys))
        most = self.one((0, 0, 0, 1, 4, 20))
        return replace(stage, kind="expand", keys=keys, many=many, most=most)

    def with_policies_around(self, case: Case) -> Case:
        """Draw policies around the functions of many outputs."""
        if isinstance(case.what, Batch):
            return case
        stages = (
            replace(stage, around=self.policies_around(stage.many)) if stage.many else stage
            for stage in case.what
        )
        return replace(case, what=tuple(stages))

    def policies_around(self, many: ManyLeaf) -> tuple[Around, ...]:
        if not self.chance(0.5):
            return ()
        return tuple(self.policy_around(many) for _ in range(self.random.randint(1, 3)))

    def policy_around(self, many: ManyLeaf) -> Around:
        kind = self.one(
            ("timeout", "each", "retry", "retry", "limit", "limit", "adaptive", "fallback")
        )
        match kind:
            case "timeout" | "each":
                return Around(kind, self.one((0.3, 0.75, 1.2, 4.0, 100.0)))
            case "fallback":
                acts = tuple((Act(),) * self.random.randint(1, 4) for _ in range(2))
                return Around(kind, 0.0, replace(many, acts=acts))
        return Around(kind, float(self.random.randint(1, 3)))

    def many_stage(self) -> Stage:
        isolate = self.one(("context", "context", "task"))
        return Stage(
            "flat_map",
            limit=self.one((1, 2, 3, 10)),
            continue_on_error=self.chance(0.5),
            isolate=isolate,
            keys=self.keys(),
            many=self.many_leaf(),
        )

    def many_leaf(self) -> ManyLeaf:
        self.names += 1
        form = self.one(("async_generator", "async_generator", "generator", "async_list", "list"))
        acts = tuple(self.acts_of_many(form) for _ in range(self.random.randint(1, 4)))
        return ManyLeaf(f"many{self.names}", form, acts, self.chance(0.3))

    def acts_of_many(self, form: str) -> tuple[Act, ...]:
        outputs = self.one((0, 1, 2, 3, 5))
        act = self.act if form.startswith("async") else self.plain_act
        if "generator" not in form:
            # What swallows a cancel and then does something else for ever could not be ended.
            return (act(), *[Act()] * outputs)
        # Most of them do nothing, or no item would come to its end.
        return tuple(act() if self.chance(0.4) else Act() for _ in range(outputs + 1))
