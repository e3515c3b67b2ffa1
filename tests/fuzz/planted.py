"""Bugs that are planted in the engine, one at a time, and that random cases must find."""

from __future__ import annotations

import re
import time
from itertools import count
from typing import Any

from nadoo_flow.streams import Isolation, Subscription, flat_map

from ..contract import broken_engines
from ..contract.broken_engines import Engine
from . import (
    bugs_of_checkpoints,
    bugs_of_composing,
    bugs_of_many,
    bugs_of_runs,
    bugs_of_watching,
)
from .draw import draw_case
from .replacing import Planting, replaced_everywhere
from .run import findings_of

WITHIN = 60.0
"""Seconds within which a planted bug is found."""


def find_planted(planting: Planting, first: int = 0, about: str = "") -> str | None:
    """Run cases with a bug planted until one of them finds it, and say which and when.

    Args:
        planting: Plants the bug.
        first: The seed to begin with.
        about: A pattern; cases in which it is not found are left out.
    """
    started = time.perf_counter()
    for seed in count(first):
        seconds = time.perf_counter() - started
        if seconds > WITHIN:
            return None
        case = draw_case(seed)
        if not re.search(about, repr(case)):
            continue
        with planting():
            findings = findings_of(case)
        # What is found without it too is no finding about it.
        if findings and not findings_of(case):
            return f"seed {seed}, {seconds:.1f} s: {findings[0]}"
    return None


def _in_place_of_the_engine(engine: Engine) -> Planting:
    def operator(
        run: Subscription,
        mapper: Any,
        max_concurrent: int,
        isolate: Isolation = "context",
        keys: object = None,
    ) -> Any:
        return engine(run, mapper, max_concurrent, isolate)

    return lambda: replaced_everywhere(flat_map, operator)


_ENGINES: tuple[Engine, ...] = (
    broken_engines.serial,
    broken_engines.limitless,
    broken_engines.forgetful,
    broken_engines.leaky,
    broken_engines.greedy,
    broken_engines.generous,
    broken_engines.hasty,
    broken_engines.eager,
    broken_engines.naive,
    broken_engines.patient,
)

_BUGS = {
    **bugs_of_runs.BUGS,
    **bugs_of_many.BUGS,
    **bugs_of_composing.BUGS,
    **bugs_of_watching.BUGS,
    **bugs_of_checkpoints.BUGS,
}

PLANTED: dict[str, Planting] = {
    **{bug.__name__: bug for bug in _BUGS},
    **{f"engine_{engine.__name__}": _in_place_of_the_engine(engine) for engine in _ENGINES},
}

ABOUT = {bug.__name__: about for bug, about in _BUGS.items()}
"""What is in all cases that can find a bug, for those who have no time for others."""
