"""The limits of a run: when one is reached, nothing more starts, and the results are returned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import isawaitable
from numbers import Integral
from typing import Any

from .._support.checks import (
    check_non_negative_number,
    check_positive_int,
    check_positive_number,
    check_sync_function,
    describe_value,
)
from .._support.text import format_count, format_duration
from .._support.usage import format_number
from ..results.batch_result import BatchResult
from ..results.stopped import LimitName, RunningSummary, Stopped
from ..streams import Indexed, Subscription, WrappedWork
from .item import ItemWork

FEWEST = 20
"""Finished items from which on a part of them may be too many failures."""


@dataclass(frozen=True)
class Limits:
    """The limits of each run of a processor.

    Attributes:
        deadline: Seconds from the first pull.
        grace: Seconds after the deadline in which what is in work may be finished.
        max_failures: A number of failures, or the part of the finished items that may fail.
        max_usage: The most that may be used of something, by the names in ``metadata["usage"]``.
        stop_when: Gets what is known of the run after each item, and returns whether to end it.
    """

    deadline: float | None = None
    grace: float = 5.0
    max_failures: float | None = None
    max_usage: Mapping[str, float] | None = None
    stop_when: Callable[[RunningSummary], object] | None = None

    def __post_init__(self) -> None:
        checked = {
            "deadline": _check(check_positive_number, self.deadline, "deadline"),
            "grace": check_non_negative_number(self.grace, "grace"),
            "max_failures": _check(_check_max_failures, self.max_failures, "max_failures"),
            "max_usage": _check(_check_max_usage, self.max_usage, "max_usage"),
            "stop_when": _check(check_sync_function, self.stop_when, "stop_when"),
        }
        for name, value in checked.items():
            # A frozen dataclass cannot assign to its fields.
            object.__setattr__(self, name, value)


class LimitedRun:
    """Drains one run when it reaches a limit.

    Args:
        limits: The limits, of which one is set at least.
        run: The run, which begins now.
    """

    def __init__(self, limits: Limits, run: Subscription) -> None:
        self._limits = limits
        self._run = run
        self._summary = RunningSummary(run.turn.time)
        self._stopped: Stopped | None = None
        if limits.deadline is not None:
            timer = run.loop.call_later(limits.deadline, self._on_deadline, limits.deadline)
            run.draining.call_at_end(timer.cancel)

    @property
    def stopped(self) -> Stopped | None:
        """The limit that was reached first, if one was."""
        cancelled = self._run.draining.cancelled
        return None if self._stopped is None else replace(self._stopped, cancelled=cancelled)

    def watch(self, work: ItemWork) -> ItemWork:
        """Return work whose results count."""
        limits = self._limits
        counts = (limits.max_failures, limits.max_usage, limits.stop_when)
        # For its figures a deadline needs the counts too, which are cheap.
        checks = any(limit is not None for limit in counts)
        return _CountedWork(work, self._count if checks else self._add)

    def _add(self, result: BatchResult) -> None:
        if not (result.metadata and "resumed" in result.metadata):
            self._summary.add(result)

    def _count(self, result: BatchResult) -> None:
        self._add(result)
        if self._stopped is None:
            self._check_failures()
            self._check_usage()
            self._ask_user()

    def _check_failures(self) -> None:
        most, summary = self._limits.max_failures, self._summary
        if most is None or not summary.failed:
            return
        if isinstance(most, int):
            is_reached = summary.failed >= most
        else:
            is_reached = summary.total >= FEWEST and summary.failed >= most * summary.total
        if is_reached:
            items = f"{summary.failed:,} of {format_count(summary.total, 'finished item')} failed"
            self._stop("max_failures", f"max_failures of {most:,} was reached: {items}")

    def _check_usage(self) -> None:
        if self._limits.max_usage is None:
            return
        usage = self._summary.usage
        for name, most in self._limits.max_usage.items():
            used = usage.get(name, 0)
            if used >= most:
                reached = f"max_usage of {format_number(most)} {name} was reached"
                self._stop("max_usage", f"{reached}: {format_number(used)} {name} used")
                return

    def _ask_user(self) -> None:
        if self._limits.stop_when is None or self._stopped is not None:
            return
        try:
            answer = self._limits.stop_when(self._summary)
        except (asyncio.CancelledError, GeneratorExit, StopIteration) as error:
            # The run would take these for its own.
            raise RuntimeError(f"stop_when raised {type(error).__name__}") from error
        if answer is False or answer is None:
            return
        if isawaitable(answer):
            raise TypeError(
                f"stop_when must return whether to stop, got {describe_value(answer)}, "
                "which has to be awaited"
            )
        if answer:
            self._stop("stop_when", f"stop_when returned {describe_value(answer)}")

    def _on_deadline(self, deadline: float) -> None:
        if self._stopped is None:
            self._stop("deadline", f"the deadline of {format_duration(deadline)} was reached")
        self._run.drain(self._limits.grace)

    def _stop(self, limit: LimitName, reason: str) -> None:
        if self._run.stopped:
            return
        summary = self._summary
        self._stopped = Stopped(
            limit, reason, summary.total, summary.failed, summary.seconds, dict(summary.usage)
        )
        self._run.drain()


class _CountedWork(WrappedWork[Indexed[Any], BatchResult]):
    """Counts each result."""

    def __init__(self, work: ItemWork, count: Callable[[BatchResult], None]) -> None:
        super().__init__(work)
        self._count = count

    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        result = self._finish(item, answer, started)
        self._count(result)
        return result

    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> BatchResult:
        result = self._fail(item, error, started)
        self._count(result)
        return result


def _check(check: Callable[[Any, str], Any], value: object, parameter: str) -> Any:
    return None if value is None else check(value, parameter)


def _check_max_failures(value: object, parameter: str) -> float:
    """Return a number of failures as an int, and a part of the finished items as a float."""
    if isinstance(value, Integral):
        return check_positive_int(value, parameter)
    part = float(check_positive_number(value, parameter))
    if part >= 1:
        raise ValueError(
            f"{parameter} must be an int, or a part of the finished items below 1, "
            f"got {describe_value(value)}"
        )
    return part


def _check_max_usage(value: object, parameter: str) -> Mapping[str, float]:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{parameter} must be a mapping of names to numbers, got {describe_value(value)}"
        )
    if not value:
        raise ValueError(f"{parameter} must name something that is used, got {value}")
    for name in value:
        if not isinstance(name, str):
            raise TypeError(f"the names in {parameter} must be str, got {describe_value(name)}")
    return {
        name: check_positive_number(most, f"{parameter}[{name!r}]") for name, most in value.items()
    }
