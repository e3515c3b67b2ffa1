"""The budget of a run, whose units are counted as the node reports them."""

from __future__ import annotations

import sys
from typing import Any

from ..._support.usage import read_numbers
from ...nodes.context import NodeResult
from ...nodes.node import Policy
from ...policies import RateBudget, rate_limit
from ...policies.rate_budget import REQUESTS
from ..console import CommandError
from .amounts import BudgetAmounts

LEAST = 1e-6
"""What a call is charged at least: one that needs nothing of a unit would not wait for it."""


class UsageEstimate:
    """Expects of each call what those before it have used on average.

    The command line has no function that knows it of an input, and what a node reports is the only
    count that holds for any unit. So a window may be over its limit by what the calls in work use
    more than expected, and later calls wait until it is not.

    Args:
        limits: Most of each unit in a window.
    """

    def __init__(self, limits: dict[str, float]) -> None:
        self._limits = limits
        self._total = dict.fromkeys(limits, 0.0)
        self._reports = dict.fromkeys(limits, 0)
        self._unreported: set[str] = set()

    def estimate(self, value: Any) -> dict[str, float]:
        """Return what a call is expected to use; never more than a window has."""
        return {unit: min(self._expect(unit), most) for unit, most in self._limits.items()}

    def read_actual(self, result: NodeResult) -> dict[str, float]:
        """Return what a call has used of the units that its metadata names."""
        reported = read_numbers(result.metadata.get("usage"))
        used = {unit: reported[unit] for unit in self._limits if reported.get(unit, -1) >= 0}
        for unit, amount in used.items():
            self._total[unit] += amount
            self._reports[unit] += 1
        if result.success:
            self._warn_of({*self._limits} - {REQUESTS, *used})
        return used

    def _expect(self, unit: str) -> float:
        reports = self._reports[unit]
        if not reports:
            return 1 if unit == REQUESTS else LEAST
        return max(round(self._total[unit] / reports, 6), LEAST)

    def _warn_of(self, units: set[str]) -> None:
        for unit in sorted(units - self._unreported):
            self._unreported.add(unit)
            print(
                f'the node does not say how many {unit} it has used, in metadata["usage"], '
                "so the budget may not limit them",
                file=sys.stderr,
            )


def make_budget_policy(amounts: BudgetAmounts) -> Policy:
    """Make the policy of ``--budget``.

    Raises:
        CommandError: If there can be no such budget.
    """
    try:
        budget = RateBudget(amounts.per, **amounts.limits)
    except (TypeError, ValueError) as error:
        raise CommandError(f"--budget: {error}") from error
    usage = UsageEstimate(amounts.limits)
    return rate_limit(budget, estimate=usage.estimate, actual=usage.read_actual)
