"""Draws what the code inside does."""

from __future__ import annotations

from random import Random
from typing import TypeVar

from .answers import ANSWERS
from .case import FOREVER, Act, Leaf
from .faults import CONTAINED, FATAL, ODD, PLAIN

T = TypeVar("T")

SECONDS = (0.0, 0.1, 0.5, 1.0, 2.5)

_AT_ONCE = ("raise", "close", "close_in_helper", "use_thread", *ANSWERS)
_ENDLESS: tuple[str, ...] = (
    "cancel_itself",
    "unwind",
    "help",
    "raise_later",
    "raise_from_future",
    "run_batch",
)
_ENDLESS += ("swallow", "swallow_and_uncancel", "raise_in_clean_up", "fail_in_group")


class Drawing:
    """Draws parts of one case, more or less evil ones.

    Args:
        seed: What decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.names = 0
        self.threads = self.chance(0.04)
        # Some cases are calm, so that everything in them can be foretold.
        self.evil = self.one((0.0, 0.1, 0.3, 0.6))
        self.fatal = self.chance(0.1)
        # What is ended by the clock may hold what would never end by itself.
        self.timed = self.chance(0.3)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def one(self, choices: tuple[T, ...]) -> T:
        return self.random.choice(choices)

    def leaf(self, function: bool = False) -> Leaf:
        self.names += 1
        name = f"leaf{self.names}"
        forms = ("async", "async", "sync") if function else ("async", "async", "node", "sync")
        form = self.one(forms)
        count = self.random.randint(1, 4)
        if form == "sync":
            return Leaf(name, form, tuple(self.plain_act() for _ in range(count)))
        acts = tuple(self.act(form) for _ in range(count))
        return Leaf(name, form, acts)

    def plain_act(self) -> Act:
        if self.chance(self.evil):
            return Act("raise", 0.0, self.error())
        return Act("block", 0.002) if self.chance(0.2) else Act()

    def act(self, form: str = "async", source: bool = False) -> Act:
        if not self.chance(self.evil):
            kind = self.one(("return", "sleep", "sleep", "clean", "block"))
            return Act(kind, 0.0 if kind == "return" else self.one(SECONDS))
        kinds = ["raise", "raise_later", "raise_from_future", "unwind"]
        kinds += ["cancel_itself", "cancel_itself_and_raise", "cancel_itself_and_return"]
        kinds += ["unwind_often", "swallow", "swallow_and_uncancel", "help", "fail_in_group"]
        if not source:
            kinds += ["raise_in_clean_up", "run_batch", "close", "close_in_helper"]
        if self.timed:
            kinds += ["forever"] * 2
        if form == "node":
            kinds += [*ANSWERS]
        if self.threads:
            kinds += ["use_thread"] * 10
        kind = self.one(tuple(kinds))
        raises = kind in (
            "raise",
            "raise_later",
            "raise_from_future",
            "raise_in_clean_up",
            "fail_in_group",
        )
        seconds = 0.0 if kind in _AT_ONCE else self.one(SECONDS)
        if self.timed and kind in _ENDLESS and self.chance(0.4):
            seconds = FOREVER
        error = self.error() if raises else ""
        if kind == "raise_from_future" and error in ("StopIteration", "CancelledError"):
            error = "GeneratorExit"
        if kind == "fail_in_group" and error not in CONTAINED:
            error = "ValueError"
        return Act(kind, seconds, error)

    def error(self) -> str:
        if self.fatal and self.chance(0.3):
            return self.one(FATAL)
        return self.one((*PLAIN, *ODD, *ODD))
