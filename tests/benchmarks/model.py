"""What a benchmark is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Params: TypeAlias = dict[str, Any]
"""What a variant of a case sets, such as ``{"n": 1000, "concurrency": 10}``. All JSON."""


@dataclass(frozen=True)
class Outcome:
    """What one run of a contestant came to.

    Attributes:
        answer: What it worked out, to be checked. All JSON.
        value: What the case is about, where that is not the time that the whole run took.
        note: Anything a reader of the table should know.
    """

    answer: Any
    value: float | None = None
    note: str = ""


Run: TypeAlias = Callable[[], Awaitable[Outcome]]


@dataclass(frozen=True)
class Measured:
    """What one process measured.

    Attributes:
        value: The median of its runs: their own value, or else their seconds.
        seconds: The median of the seconds that its runs took.
        cpu_seconds: The same of the processor's time.
        peak_mb: By how much the first run raised the peak of the process's memory.
        answer: What every run has worked out, or the list of answers if they differ.
        note: The note of the last run.
    """

    value: float
    seconds: float
    cpu_seconds: float
    peak_mb: float
    answer: Any
    note: str = ""


@dataclass(frozen=True)
class Peer:
    """A package that is compared with.

    Attributes:
        package: Its name on the package index.
        module: What is imported.
        own_venv: Whether it must not be in one environment with us.
    """

    package: str
    module: str
    own_venv: bool = False


@dataclass(frozen=True)
class Contestant:
    """One way to do the work of a case.

    Attributes:
        name: What the table calls it.
        prepare: Imports what it needs, makes the inputs, and returns what is timed.
        peer: The package that it needs.
    """

    name: str
    prepare: Callable[[Params], Run]
    peer: Peer | None = None


@dataclass(frozen=True)
class Case:
    """Something to measure, and who takes part. The first contestant is ours.

    Attributes:
        module: The module that has it in its ``CASES``, where a fresh process finds it again.
        name: What the command line calls it.
        title: What is measured.
        unit: The unit of ``figure``.
        variants: The settings to measure it at, small sizes first.
        contestants: Who takes part. They are measured in turns, each in a process of its own.
        expected: The answer that every contestant must come to.
        figure: Makes the figure of the table of what was measured.
        never_waits: Whether the value is the time of a run in which the processor is never idle.
        steady: Whether a short run is repeated until it can be timed.
        over: What the last column relates a figure to: ours in the same variant, the contestant's
            own at the smallest size, or nothing.
    """

    module: str
    name: str
    title: str
    unit: str
    variants: tuple[Params, ...]
    contestants: tuple[Contestant, ...]
    expected: Callable[[Params], Any]
    figure: Callable[[Measured, Params], float]
    never_waits: bool = False
    steady: bool = True
    over: Literal["ours", "smallest", "nothing"] = "ours"


def us_per_item(measured: Measured, params: Params) -> float:
    """Make microseconds an item of the seconds of a run."""
    n: int = params["n"]
    return measured.value / n * 1e6


def milliseconds(measured: Measured, params: Params) -> float:
    """Make milliseconds of a value in seconds."""
    return measured.value * 1e3


def as_measured(measured: Measured, params: Params) -> float:
    """Take the value as it is."""
    return measured.value
