"""Measures one contestant, once, in this process: a fresh one for each contestant and round."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import statistics
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time
from typing import TypeAlias

from .model import Case, Contestant, Measured, Outcome, Params, Run

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

WARM_UP = 200
"""Items of the run that warms up code and caches, and is not timed."""

TIMED = 0.25
"""Seconds that are timed at least, where a case repeats short runs."""


def main() -> None:
    """Measure what the command line names, and print it as one line of JSON."""
    module, case_name, contestant_name, params, *loop = sys.argv[1:]
    case = next(case for case in importlib.import_module(module).CASES if case.name == case_name)
    contestant = next(one for one in case.contestants if one.name == contestant_name)
    make_loop = find_loop_factory(*loop)
    print(json.dumps(asdict(measure(case, contestant, json.loads(params), make_loop))))


def find_loop_factory(module: str | None = None) -> LoopFactory | None:
    """Return what makes the event loops of a module such as uvloop; None stands for asyncio's."""
    if module is None:
        return None
    make_loop: LoopFactory = importlib.import_module(module).new_event_loop
    return make_loop


def measure(
    case: Case, contestant: Contestant, params: Params, make_loop: LoopFactory | None = None
) -> Measured:
    """Warm up, run, and run again where one run is too short to be timed."""
    warm_up = contestant.prepare({**params, "n": min(params.get("n", 1), WARM_UP)})
    run = contestant.prepare(params)
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(_measure(warm_up, run, TIMED if case.steady else 0))


async def _measure(warm_up: Run, run: Run, at_least: float) -> Measured:
    await warm_up()
    gc.collect()
    before = reset_peak()
    outcomes: list[Outcome] = []
    seconds: list[float] = []
    cpu_seconds: list[float] = []
    highest = 0.0
    while not seconds or sum(seconds) < at_least:
        started, cpu_started = perf_counter(), process_time()
        outcome = await run()
        cpu_seconds.append(process_time() - cpu_started)
        seconds.append(perf_counter() - started)
        highest = highest or peak()
        outcomes.append(outcome)
    return Measured(
        statistics.median(map(_value, outcomes, seconds)),
        statistics.median(seconds),
        statistics.median(cpu_seconds),
        max(0.0, highest - before),
        agreed([outcome.answer for outcome in outcomes]),
        outcomes[-1].note,
    )


def _value(outcome: Outcome, seconds: float) -> float:
    return seconds if outcome.value is None else outcome.value


def agreed(answers: list[object]) -> object:
    """Return the answer of all runs, or all their answers if they differ."""
    return answers[0] if all(answer == answers[0] for answer in answers) else answers


def reset_peak() -> float:
    """Forget the peak of memory so far, and return what is in use now, in MB."""
    with suppress(OSError):  # elsewhere than on Linux the run starts from the peak so far
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Return the peak of this process's resident memory, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource  # not on every system

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
