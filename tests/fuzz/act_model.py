"""What must come of an item with which one thing is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from .acts import RAISING
from .answers import FAILURES
from .case import CLEAN_UP, FOREVER, Act
from .faults import FATAL


class Verdict(Enum):
    """What becomes of an item."""

    SUCCESS = "success"
    FAILURE = "failure"
    EITHER = "either"


@dataclass(frozen=True)
class Fate:
    """A verdict, and the least and most seconds until it."""

    verdict: Verdict
    least: float
    most: float


UNKNOWN = Fate(Verdict.EITHER, 0, math.inf)
"""Whatever may be."""

_UNCLEAR = ("close", "close_in_helper", "use_thread", "cancel_itself_and_return")
_FAILING = (*RAISING, "cancel_itself_and_raise", *FAILURES)
_AT_ONCE = ("raise", "slow_once", "cancel_itself_and_raise", *FAILURES)
# Seconds that an act takes besides its own.
_EXTRA = {"clean": CLEAN_UP, "help": CLEAN_UP, "unwind": 1.5, "unwind_often": 4.5}


def fate_in_form(form: str, act: Act) -> Fate:
    """Say what becomes of an item with which this is done in a function of such a form."""
    if form == "sync" and act.kind != "raise":
        return Fate(Verdict.SUCCESS, 0, 0.2)
    return fate_of_act(act)


def fate_of_act(act: Act) -> Fate:
    """Say what becomes of an item with which this is done."""
    if act.error in FATAL or act.kind in _UNCLEAR:
        return UNKNOWN
    verdict = Verdict.FAILURE if act.kind in _FAILING else Verdict.SUCCESS
    if act.kind == "forever":
        return Fate(verdict, FOREVER, FOREVER)
    if act.kind == "run_batch":
        return Fate(verdict, 2 * (act.seconds + CLEAN_UP), 2 * (act.seconds + CLEAN_UP) + 0.1)
    seconds = act.seconds * (3 if act.kind == "unwind_often" else 1) + _EXTRA.get(act.kind, 0)
    least = 0 if act.kind in _AT_ONCE else seconds
    # Others may block the loop for a little.
    return Fate(verdict, least, seconds + 0.2)
