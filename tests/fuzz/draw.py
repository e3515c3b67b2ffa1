"""Draws a case from a seed."""

from __future__ import annotations

from dataclasses import replace

from .case import (
    Act,
    Batch,
    Case,
    Disk,
    Ending,
    Leaf,
    Nested,
    Policy,
    Several,
    Source,
    Stage,
    Watch,
    Work,
)
from .draw_acts import SECONDS
from .draw_later import LaterDrawing
from .faults import CONTAINED
from .overriding import PROCESSORS
from .refusals import BESIDE, FUNCTION_PLACES, FUNCTIONS, NODES, PLACES, STAGES
from .rx_operators import OPERATORS


def draw_case(seed: int) -> Case:
    """Draw the case of a seed, always the same."""
    return _Drawing(seed).case()


class _Drawing(LaterDrawing):
    def case(self) -> Case:
        if self.chance(0.01):
            shared = Policy("rate_limit", Leaf("leaf"), self.one((1.0, 4.0, 30.0)))
            batch = Batch(shared, self.random.randint(1, 5))
            return Case(self.seed, "threads", batch, Source(length=5), Ending())
        if self.chance(0.04):
            return self.mistaken()
        what = self.batch() if self.chance(0.5) else self.stages()
        way = self.way(what)
        ending = self.ending(way)
        source = self.source(way, ending.kind in _EARLY and _gives_much(what))
        ordered, chunk = self.chance(0.5), self.random.randint(1, 4)
        slow = self.one((0.0, 0.0, 0.3, 2.0))
        case = Case(self.seed, way, what, source, ending, ordered, chunk, slow, self.chance(0.3))
        if self.chance(0.3):
            case = replace(case, watches=self.watches())
        if isinstance(what, Batch) and way != "lanes" and self.chance(0.12):
            # While results wait for a disk, thousands of inputs may be pulled.
            finite = source if source.length is not None else replace(source, length=30)
            # By its events it is known what had succeeded when the run was ended.
            watches = case.watches or ((Watch("events"),) if self.chance(0.7) else ())
            case = replace(case, disk=self.disk(), source=finite, watches=watches)
        case = self.with_many(replace(case, what=self.with_keys(case.what)))
        case = self.with_policies_around(self.with_expansion(case))
        return self.with_records(self.with_policies(self.with_early_end(case)))

    def disk(self) -> Disk:
        fails_at = self.random.randint(1, 8) if self.chance(0.2) else 0
        return Disk(self.one((0.0, 0.3, 1.0)), fails_at)

    def watches(self) -> tuple[Watch, ...]:
        kinds = self.one((("trace",), ("events",), ("trace", "events"), ("events", "events")))
        return tuple(self.watch(kind) for kind in kinds)

    def watch(self, kind: str) -> Watch:
        if self.chance(0.7):
            return Watch(kind)
        return Watch(kind, self.random.randint(1, 12), self.one(CONTAINED))

    def mistaken(self) -> Case:
        """Draw parts that can never work together, or now and then a function, which can."""
        what: Batch | tuple[Stage, ...] = self.batch() if self.chance(0.5) else self.stages()
        parts, places = self.one(_MISTAKES)
        if parts == tuple(STAGES):
            what = tuple(stage for stage in self.stages(depth=0) if stage.kind != "pass")
        mistake = self.one(parts), self.one(places)
        return Case(self.seed, "refused", what, Source(), Ending(), mistake=mistake)

    def way(self, what: Batch | tuple[Stage, ...]) -> str:
        if isinstance(what, Batch):
            ways: tuple[str, ...] = (
                "batch",
                "batch",
                "batch_as_completed",
                "batch_as_completed",
                "observe",
            )
            # Without the processor around it, nothing makes sound what an override returns.
            lanes = what.continue_on_error and what.own_single != "unsound"
            return self.one((*ways, "batch_in_chunks", "lanes" if lanes else ways[0]))
        ways = ("execute", "run")
        if len(what) == 1 or not any(stage.stays_apart for stage in what):
            ways += ("stream", "stream", "observe", "as_operator")
        if len(what) == 1 and what[0].kind == "map" and not what[0].continue_on_error:
            ways += ("flat_map",)
        return self.one(ways)

    def ending(self, way: str) -> Ending:
        if not self.timed and self.chance(0.5):
            return Ending()
        seconds = self.one((0.0, 0.05, 0.2, 0.7, 1.3, 2.2, 6.0))
        items = self.random.randint(1, 5)
        if way in ("batch", "execute", "run"):
            return Ending(
                self.one(("cancel", "cancel_twice", "cancel_often", "timeout")), 0, seconds
            )
        if way in ("observe", "as_operator", "flat_map"):
            kind = "dispose" if self.timed else self.one(("dispose_in_on_next", "take"))
            return Ending(kind, items, seconds)
        kinds = ["cancel", "cancel_often", "timeout"]
        if not self.timed:
            kinds += ["break", "raise", "aclose", "drop"] * 2
        if way != "batch_in_chunks":
            kinds += ["aclose_elsewhere"] if self.timed else ["impatient"]
        kind = self.one(tuple(kinds))
        return Ending(kind, items, max(seconds, 0.2) if kind == "impatient" else seconds)

    def source(self, way: str, endless: bool) -> Source:
        kinds = ["list", "iterable", "iterator", "generator"]
        if way in ("as_operator", "flat_map"):
            kinds = ["list", "cold", "subject"]
        elif way not in ("execute", "run"):
            kinds += ["async_generator", "async_iterator", "async_closeable", "async_generator"]
            kinds += ["cold", "subject"]
        if self.threads and way not in ("execute", "run"):
            kinds = ["thread"]
        kind = self.one(tuple(kinds))
        length: int | None = self.one((0, 1, 2, 3, 5, 8, 13, 30))
        if endless and self.chance(0.5) and kind not in ("list", "cold", "subject", "thread"):
            length = None
        return Source(kind, length, self.source_acts(kind, 10 if length is None else length))

    def source_acts(self, kind: str, length: int) -> tuple[tuple[int, Act], ...]:
        if kind in ("list", "cold", "thread") or not self.chance(self.evil):
            return ()
        asynchronous = kind.startswith("async") or kind == "subject"
        acts: dict[int, Act] = {}
        for _ in range(self.random.randint(1, 2)):
            position = self.random.randint(0, length)
            if not asynchronous:
                acts[position] = self.plain_act()
            elif kind == "subject":
                acts[position] = Act("sleep", self.one(SECONDS))
            else:
                acts[position] = self.act(source=True)
        if kind in ("async_generator", "async_closeable") and self.chance(0.4):
            clean_up = (
                Act("sleep", 1.0) if self.chance(0.7) else Act("raise_in_clean_up", 0.0, "OSError")
            )
            acts[-1] = clean_up
        for position, act in acts.items():
            if act.kind == "cancel_itself_and_return":
                # Whatever the source itself awaits next would raise it.
                return ((position, act),)
        return tuple(acts.items())

    def batch(self) -> Batch:
        work = self.work(2)
        limit = self.one((1, 1, 2, 3, 5, 40))
        isolate = self.one(("context", "context", "task"))
        return Batch(work, limit, self.chance(0.6), isolate, self.own_single())

    def own_single(self) -> str:
        return self.one(_OWN_SINGLE) if self.chance(0.25) else ""

    def stages(self, most: int = 3, depth: int = 1) -> tuple[Stage, ...]:
        stages = [self.stage(depth) for _ in range(self.random.randint(1, most))]
        if self.chance(0.3):
            stages.append(Stage("reduce", self.leaf(function=True)))
        if len(stages) > 1 and self.chance(0.2):
            stages.insert(1, Stage("pass"))
        if depth and self.chance(0.15):
            place = self.random.randrange(len(stages))
            if stages[place].kind != "pass":
                stages[place] = replace(stages[place], own=self.one(("class", "instance")))
        return tuple(stages)

    def stage(self, depth: int) -> Stage:
        kind = self.one(("map", "map", "filter", "operator"))
        limit = self.one((1, 2, 3, 10))
        if kind == "operator":
            names = tuple(OPERATORS) if self.threads or self.chance(0.05) else _WITHOUT_THREADS
            chosen = tuple(self.one(names) for _ in range(self.random.randint(1, 2)))
            return Stage("operator", operators=chosen)
        if kind == "filter":
            return Stage("filter", self.leaf(function=True), limit)
        isolate = self.one(("context", "context", "task"))
        return Stage("map", self.work(depth), limit, self.chance(0.5), isolate)

    def work(self, depth: int) -> Work:
        choice = self.random.random()
        if depth == 0 or choice < 0.4:
            return self.leaf()
        if choice < 0.55:
            how = self.one(_TOGETHER)
            count = self.random.randint(2, 3)
            return Several(how, tuple(self.named(depth) for _ in range(count)))
        if choice < 0.62:
            return Nested(self.random.randint(0, 4), self.stages(2, 0))
        return self.policy(depth)

    def named(self, depth: int) -> Work:
        """Draw a node whose id differs from that of others."""
        return self.leaf() if self.chance(0.7) else self.policy(1)

    def policy(self, depth: int) -> Work:
        kind = self.one(
            ("timeout", "timeout", "retry", "rate_limit", "budget", "limit", "adaptive", "fallback")
        )
        node = self.work(depth - 1) if kind != "fallback" else self.leaf()
        match kind:
            case "timeout":
                return Policy(kind, node, self.one((0.3, 0.75, 1.2, 4.0)))
            case "retry":
                return Policy(kind, node, float(self.random.randint(1, 3)))
            case "rate_limit" | "budget":
                return Policy(kind, node, self.one((2.0, 10.0)))
            case "fallback":
                return Policy(
                    kind, node, 0.0, tuple(self.leaf() for _ in range(self.random.randint(1, 2)))
                )
        return Policy(kind, node, float(self.random.randint(1, 3)))


def _gives_much(what: Batch | tuple[Stage, ...]) -> bool:
    """Tell whether something comes out of it again and again until it fails."""
    if isinstance(what, Batch):
        return True
    return all(
        stage.kind == "filter" or (stage.kind == "map" and not stage.continue_on_error)
        for stage in what
    )


_MISTAKES = (
    (tuple(NODES), tuple(PLACES)),
    (tuple(FUNCTIONS), tuple(FUNCTION_PLACES)),
    (tuple(STAGES), tuple(BESIDE)),
    (("function",), (*PLACES, *FUNCTION_PLACES)),
)
_EARLY = ("break", "raise", "aclose", "dispose_in_on_next", "take")
_TOGETHER: tuple[str, ...] = ("pipeline", "pipeline", "all", "all_settled", "race", "any")
_TOGETHER += ("class_pipeline", "instance_pipeline")
_OWN_SINGLE = tuple(form for form in PROCESSORS if form)
_WITHOUT_THREADS = tuple(name for name in OPERATORS if name != "from_thread")
