"""A budget of requests, tokens or anything else in a window of time, and pauses for all."""

from __future__ import annotations

import asyncio
from typing import Any

from .._support.checks import (
    check_non_negative_number,
    check_positive_number,
    describe_value,
)
from .._support.per_loop import PerLoop
from .budget_queue import BudgetQueue
from .sliding_window import Amounts, make_exact

REQUESTS = "requests"
"""The unit of which each call needs one, unless its estimate says something else."""


class ExceedsBudget(ValueError):
    """The error of an item that could never start, because it needs more than a whole window has.

    Attributes:
        unit: What it needs too much of.
        needed: How much of it the item needs.
        limit: How much of it a window has.

    Args:
        per: Length of the window in seconds.

    Example:
        >>> print(ExceedsBudget("tokens", needed=120_000, limit=90_000, per=60))
        needs 120,000 tokens, and the budget is 90,000 in 60 s
    """

    def __init__(self, unit: str, needed: float, limit: float, per: float) -> None:
        super().__init__(
            f"needs {_write(needed)} {unit}, and the budget is {_write(limit)} in {per:g} s"
        )
        self.unit = unit
        self.needed = needed
        self.limit = limit
        self._per = per

    def __reduce__(self) -> tuple[type[ExceedsBudget], tuple[str, float, float, float]]:
        return ExceedsBudget, (self.unit, self.needed, self.limit, self._per)


class RateBudget:
    """Limits what calls may use in any window of time, over all nodes and runs that share it.

    Give it to ``rate_limit(...)``. No window of ``per`` seconds, wherever it is laid, is charged
    more than any of the limits. Calls that have to wait start in the order in which they came.

    When a call fails because its service is overloaded (a status of 429, 503 or 529, a retry-after
    time), no other call starts for as long as the service asks, or for a tenth of ``per`` if it
    does not say. After that they are spaced as the limits have it, instead of using at once what is
    left of them, until a whole window has been filled in this way.

    It belongs to one event loop at a time; on another that follows it, what was charged still
    counts. Loops in several threads, and the workers of an executor, have a budget each.

    Args:
        per: Length of the window in seconds.
        longest_wait: Most seconds that a service can make all others wait.
        limits: Most of each unit in a window, such as ``requests=500, tokens=90_000``. Of
            ``requests`` each call is charged one.

    Raises:
        TypeError: At the call, if no limit is given, or an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> minute = RateBudget(per=60, requests=500, tokens=90_000)
        >>> policy = rate_limit(minute, estimate=lambda text: {"tokens": len(text) // 4})
        >>> node = FunctionNode(str.upper).pipe(policy)
        >>> asyncio.run(node.run("hello world"))
        'HELLO WORLD'
        >>> minute.taken
        {'requests': 1.0, 'tokens': 2.0}
    """

    def __init__(self, per: float, *, longest_wait: float = 300.0, **limits: float) -> None:
        self.per = check_positive_number(per, "per")
        self.longest_wait = check_positive_number(longest_wait, "longest_wait")
        if not limits:
            raise TypeError("a RateBudget needs at least one limit, such as requests=500")
        self.limits = {unit: check_positive_number(most, unit) for unit, most in limits.items()}
        if self.limits.get(REQUESTS, 1) < 1:
            raise ValueError(
                f"{REQUESTS} must be at least 1, got {limits[REQUESTS]}; make per longer instead"
            )
        self._exact = tuple(make_exact(most) for most in self.limits.values())
        self.least: Amounts = tuple(int(unit == REQUESTS) for unit in self.limits)
        self._positions = {unit: position for position, unit in enumerate(self.limits)}
        self._queues: PerLoop[BudgetQueue] = PerLoop()
        self._latest: BudgetQueue | None = None

    @property
    def used(self) -> dict[str, float]:
        """What the last ``per`` seconds are charged, by unit.

        That is on the running event loop, or else on the one that was used last.
        """
        queue = self._latest if asyncio._get_running_loop() is None else self.get_queue()
        if queue is None:
            return dict.fromkeys(self.limits, 0)
        return {
            unit: amount if isinstance(amount, int) else float(amount)
            for unit, amount in zip(self.limits, queue.sum_charges(), strict=True)
        }

    @property
    def taken(self) -> dict[str, float]:
        """What calls have taken, by unit, when one last asked; read in any thread, at no cost."""
        queue = self._latest
        taken = (0,) * len(self.limits) if queue is None else queue.taken
        return {unit: float(amount) for unit, amount in zip(self.limits, taken, strict=True)}

    @property
    def waiting(self) -> int:
        """How many calls wait, on the event loop that was used last."""
        return 0 if self._latest is None else self._latest.waiting

    def pause(self, seconds: float) -> None:
        """Let no call start for some seconds on the running event loop, however long they are.

        Args:
            seconds: From now on; a pause that ends later already is not shortened.
        """
        self.get_queue().pause(check_positive_number(seconds, "seconds"))

    def get_queue(self) -> BudgetQueue:
        """Return the queue of the running event loop."""
        return self._queues.get(self._make_queue)

    def _make_queue(self) -> BudgetQueue:
        # Not read again: another thread may set it too.
        self._latest = queue = BudgetQueue(self.per, self._exact, self._latest)
        return queue

    def read_amounts(self, given: object, parameter: str, others: Amounts | None = None) -> Amounts:
        """Return the amounts that a function of the user gave.

        Args:
            given: What it returned; a mapping as a dict.
            parameter: Its name.
            others: What it has not given; by default what each call needs at least.
        """
        if type(given) is not dict:
            raise TypeError(
                f"{parameter} must return a mapping of units to numbers, "
                f"got {describe_value(given)}"
            )
        amounts = list(self.least if others is None else others)
        for unit, amount in given.items():
            if unit not in self._positions:
                raise ValueError(
                    f"{parameter} must return units of the budget ({', '.join(self.limits)}), "
                    f"got {describe_value(unit)}"
                )
            if type(amount) is not int or amount < 0:
                what = f"the {unit} that {parameter} returns"
                amount = make_exact(check_non_negative_number(amount, what))
            amounts[self._positions[unit]] = amount
        return tuple(amounts)

    def check_that_it_fits(self, amounts: Amounts) -> None:
        """Check that a call can start at some time.

        Args:
            amounts: What it needs, by unit.

        Raises:
            ExceedsBudget: If it needs more than a limit.
        """
        for unit, needed, limit in zip(self.limits, amounts, self._exact, strict=True):
            if needed > limit:
                raise ExceedsBudget(unit, float(needed), float(limit), self.per)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has a budget of its own, and a queue cannot be pickled.
        return {**vars(self), "_queues": PerLoop(), "_latest": None}

    def __repr__(self) -> str:
        limits = "".join(f", {unit}={most:_}" for unit, most in self.limits.items())
        return f"RateBudget(per={self.per:g}{limits})"


def _write(number: float) -> str:
    return f"{number:,.10g}"
