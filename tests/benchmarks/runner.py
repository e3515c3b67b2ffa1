"""Runs the contestants of a case in turns, each in a fresh process, over several rounds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from .model import Case, Contestant, Measured, Params
from .peers import UVLOOP, NotInstalledError, python_for

ROOT = Path(__file__).parents[2]

# In an environment of its own a peer comes before what has the same name in our folder.
_OURS_FIRST = "import sys; sys.path.insert(0, {root!r})"
_OURS_LAST = "import sys; sys.path.append({root!r})"
_MAIN = "from tests.benchmarks._worker import main; main()"


@dataclass
class Row:
    """What became of one contestant in one variant of a case.

    Attributes:
        params: The variant.
        contestant: The name of the contestant.
        figures: One for each round.
        peaks_mb: One for each round.
        problem: Why there are none, or no more, figures.
        wrong: Whether the problem is a failure, such as a wrong result.
        note: The note of the last round.
        seconds: How long one run takes, or would take.
        spent: Seconds that all rounds took together.
    """

    params: Params
    contestant: str
    figures: list[float] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)
    problem: str = ""
    wrong: bool = False
    note: str = ""
    seconds: float = 0.0
    spent: float = 0.0

    @property
    def median(self) -> float | None:
        """The median figure, if there is one that counts."""
        return statistics.median(self.figures) if self.figures and not self.wrong else None

    @property
    def peak_mb(self) -> float | None:
        """The median peak, if there is one that counts."""
        return statistics.median(self.peaks_mb) if self.peaks_mb and not self.wrong else None


@dataclass(frozen=True)
class Settings:
    """How to run.

    Attributes:
        rounds: How often each contestant is measured.
        budget: Seconds for one contestant in one variant. What would take longer than this for
            one round is skipped, and nobody gets more rounds when it is spent.
        cache: Where environments for peers are kept.
        cpu: Whether to count the processor's time, in cases in which it is never idle.
        uvloop: Whether the event loops are those of uvloop.
        say: Told of each round that begins.
    """

    rounds: int
    budget: float
    cache: Path
    cpu: bool = False
    uvloop: bool = False
    say: Callable[[str], None] = lambda text: None


def run(case: Case, settings: Settings) -> list[Row]:
    """Measure all contestants in all variants of a case, in turns."""
    pythons = {one.name: _python(one, settings) for one in case.contestants}
    turns = [
        (contestant, Row(params, contestant.name))
        for params in case.variants
        for contestant in case.contestants
    ]
    for number in range(settings.rounds):
        settings.say(f"{case.name}: round {number + 1} of {settings.rounds}")
        for contestant, row in turns:
            python = pythons[contestant.name]
            if isinstance(python, NotInstalledError):
                row.problem = f"not installed: {python}"
            elif not row.problem and row.spent < settings.budget:
                _take_turn(case, contestant, row, [row for _, row in turns], python, settings)
    return [row for _, row in turns]


def at_size(case: Case, n: int) -> Case:
    """Return the case with one size instead of its own."""
    variants: list[Params] = []
    for params in case.variants:
        variant = {**params, "n": n} if "n" in params else params
        if variant not in variants:
            variants.append(variant)
    return replace(case, variants=tuple(variants))


def quick(case: Case) -> Case:
    """Return the case with the smallest of its sizes only."""
    sizes = [params["n"] for params in case.variants if "n" in params]
    return at_size(case, min(sizes)) if sizes else case


def _python(contestant: Contestant, settings: Settings) -> str | NotInstalledError:
    also = [UVLOOP] if settings.uvloop else []
    try:
        return python_for(contestant.peer, settings.cache, *also)
    except NotInstalledError as error:
        return error


def _take_turn(
    case: Case,
    contestant: Contestant,
    row: Row,
    rows: Iterable[Row],
    python: str,
    settings: Settings,
) -> None:
    row.seconds = row.seconds or _predicted(row, rows)
    if row.seconds > settings.budget and not row.spent:
        row.problem = f"skipped: a round would take about {row.seconds:.0f} s"
        return
    started = perf_counter()
    try:
        measured = in_process(case, contestant, row.params, python, settings)
    except subprocess.TimeoutExpired as error:
        row.problem, row.seconds = f"stopped after {error.timeout:.0f} s", error.timeout
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        row.problem, row.wrong = f"failed: {lines[-1]}", True
    else:
        if settings.cpu and case.never_waits:
            measured = replace(measured, value=measured.cpu_seconds)
        _note(case, row, measured)
    row.spent += perf_counter() - started


def _note(case: Case, row: Row, measured: Measured) -> None:
    expected = json.loads(json.dumps(case.expected(row.params)))
    if measured.answer != expected:
        row.problem = f"wrong result: {measured.answer!r} instead of {expected!r}"
        row.wrong = True
        return
    row.figures.append(case.figure(measured, row.params))
    row.peaks_mb.append(measured.peak_mb)
    row.note, row.seconds = measured.note, measured.seconds


def _predicted(row: Row, rows: Iterable[Row]) -> float:
    """Say how long a run will take, from the contestant's runs at smaller sizes."""
    smaller = [
        other
        for other in rows
        if other.contestant == row.contestant
        and other.seconds
        and {**other.params, "n": None} == {**row.params, "n": None}
    ]
    if not smaller:
        return 0.0
    nearest = max(smaller, key=lambda other: other.params["n"])
    times: float = row.params["n"] / nearest.params["n"]
    return nearest.seconds * times


def in_process(
    case: Case, contestant: Contestant, params: Params, python: str, settings: Settings
) -> Measured:
    """Measure in a fresh process, which gets three times the budget.

    Raises:
        subprocess.CalledProcessError: If the contestant fails.
        subprocess.TimeoutExpired: If it takes too long.
    """
    apart = contestant.peer is not None and contestant.peer.own_venv
    flag, path = ("-I", _OURS_LAST) if apart else ("-P", _OURS_FIRST)
    code = f"{path.format(root=str(ROOT))}; {_MAIN}"
    what = [case.module, case.name, contestant.name, json.dumps(params)]
    if settings.uvloop:
        what.append(UVLOOP.module)
    ended = subprocess.run(
        [python, flag, "-c", code, *what],
        check=True,
        capture_output=True,
        text=True,
        timeout=3 * settings.budget,
        cwd=ROOT,
    )
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return Measured(**answer)


def environment() -> dict[str, Any]:
    """Say where the figures come from."""
    return {
        "python": sys.version.split()[0],
        "platform": sys.platform,
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
