"""Bugs that are planted in the engine, one at a time, and that random cases must find."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from nadoo_flow.streams import Isolation, Subscription, Work, flat_map

from ..contract import broken_engines
from ..contract.broken_engines import Engine
from . import (
    bugs_of_chains,
    bugs_of_checkpoints,
    bugs_of_composing,
    bugs_of_draining,
    bugs_of_many,
    bugs_of_policies,
    bugs_of_runs,
    bugs_of_watching,
)
from .draining import is_early
from .draw import draw_case
from .replacing import Planting, replaced_everywhere
from .run import findings_of

WITHIN = 180.0
"""Seconds within which a planted bug is found, also where the machine has other work to do."""


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


def plant_engine(engine: Engine) -> Planting:
    """Put an engine in the place of ours, except where it cannot do what is asked for.

    It knows no keys, and cannot be drained.
    """

    def operator(
        run: Subscription,
        work: Work[Any, Any],
        max_concurrent: int,
        isolate: Isolation = "context",
        keys: Any = None,
        on_held: object = None,
        drop_unstarted: Callable[[int], None] | None = None,
    ) -> Any:
        if keys is not None or is_early():
            return flat_map(run, work, max_concurrent, isolate, keys, drop_unstarted=drop_unstarted)

        def start(item: Any) -> Coroutine[Any, Any, Any]:
            started = run.loop.time()
            try:
                answer = work.start(item, started)
            except BaseException as error:
                answer = _raise(error)
            return _finish(work, item, answer, started)

        return engine(run, start, max_concurrent, isolate)

    return lambda: replaced_everywhere(flat_map, operator)


async def _raise(error: BaseException) -> None:
    raise error


async def _finish(work: Work[Any, Any], item: Any, answer: Any, started: float) -> Any:
    try:
        if asyncio.iscoroutine(answer):
            answer = await answer
    except BaseException as error:
        return work.fail(item, error, started)
    return work.finish(item, answer, started)


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
    **bugs_of_draining.BUGS,
    **bugs_of_policies.BUGS,
    **bugs_of_composing.BUGS,
    **bugs_of_watching.BUGS,
    **bugs_of_checkpoints.BUGS,
    **bugs_of_chains.BUGS,
}

PLANTED: dict[str, Planting] = {
    **{bug.__name__: bug for bug in _BUGS},
    **{f"engine_{engine.__name__}": plant_engine(engine) for engine in _ENGINES},
}

ABOUT = {bug.__name__: about for bug, about in _BUGS.items()}
"""What is in all cases that can find a bug, for those who have no time for others."""

FIRST = {
    "end_is_delivered_once": 35_198,
    "engine_serial": 344,
    "equal_inputs_have_a_flight_each": 10_307,
    "helpers_are_strangers": 409,
    "items_pass_again": 349,
    "limit_is_not_reached": 344,
    "limiters_race": 15_335,
    "open_circuits_let_calls_pass": 1_806,
    "parked_lanes_are_forgotten": 114,
    "permits_are_held_while_outputs_wait": 22_065,
    "probes_come_together": 5_844,
    "retries_are_for_nothing": 7_949,
    "tries_come_after_outputs": 1_159,
    "unrecorded_results_are_lost": 9_089,
    "unwritten_steps_are_lost": 1_824,
}
"""Seeds that find what is rarely found. Where the cases have changed since, the search goes on."""
