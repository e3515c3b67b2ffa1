"""Whether limits are kept, and reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .case import Act, Batch, Case, Leaf, ManyLeaf, Nested, Policy, Several, Stage, Work
from .facts import given_inputs, subscribes_again
from .ledger import Ledger


def check_limits(case: Case, ledger: Ledger) -> None:
    """Check the peak of each leaf."""
    for leaf, limit, exact in _limited(case):
        peak = ledger.peak[leaf.name]
        if peak > limit:
            ledger.find(f"{peak} executions of {leaf.name} at a time, the limit is {limit}")
        if exact and peak < min(limit, len(given_inputs(case, ledger))):
            ledger.find(f"only {peak} executions of {leaf.name} at a time, the limit is {limit}")


def _limited(case: Case) -> Iterator[tuple[Leaf | ManyLeaf, int, bool]]:
    """Yield the leaves with their limits, and whether these must be reached."""
    if isinstance(case.what, Batch):
        parts: Iterable[tuple[Work, int, int]] = [(case.what.work, case.what.limit, case.what.keys)]
    else:
        parts = [
            (stage.work, 1 if stage.kind == "reduce" else stage.limit, stage.keys)
            for stage in case.what
        ]
        for leaf, most in _many_leaves(case.what):
            yield leaf, most, False
    for position, (work, limit, keys) in enumerate(parts):
        bare = isinstance(work, Leaf) and not keys
        for leaf, most in leaves(work, limit):
            suspends = bool(leaf.acts) and all(map(_takes_a_second, leaf.acts))
            all_given = case.source.kind in ("list", "iterable", "generator")
            ended = case.ending.kind == "to_end" and not case.source.acts
            ended = ended and not (subscribes_again(case) or case.is_second or _disk_fails(case))
            yield leaf, most, bare and suspends and all_given and ended and not position


def _many_leaves(stages: tuple[Stage, ...]) -> Iterator[tuple[ManyLeaf, int]]:
    for stage in stages:
        if stage.many is not None:
            yield stage.many, stage.limit


def _disk_fails(case: Case) -> bool:
    """Tell whether a checkpoint may end the run before its time."""
    return case.disk is not None and case.disk.fails_at > 0


def _takes_a_second(act: Act) -> bool:
    return act.kind in ("sleep", "clean", "block", "help") and act.seconds >= 0.5


def leaves(work: Work, limit: int) -> Iterator[tuple[Leaf, int]]:
    """Yield the leaves of a node, with the most executions at a time."""
    match work:
        case Leaf():
            yield work, limit
        case Several(_, nodes):
            for node in nodes:
                yield from leaves(node, limit)
        case Policy():
            narrowed = min(limit, int(work.number)) if work.kind == "limit" else limit
            # An item may be executed twice at a time.
            narrowed = 2 * limit if work.kind == "hedge" else narrowed
            yield from leaves(work.node, narrowed)
            for other in work.others:
                yield from leaves(other, limit)
        case Nested(_, stages):
            for stage in stages:
                inner = 1 if stage.kind == "reduce" else stage.limit
                yield from leaves(stage.work, limit * inner)
