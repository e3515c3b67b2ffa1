"""Print the manual's tables of an AdaptiveLimit beside fixed limits, and of hedging.

The services are simulated, in virtual time, so the figures are the same everywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from statistics import median

from nadoo_flow import AdaptiveLimit, ConcurrencyLimit
from nadoo_flow.policies import hedge
from nadoo_flow.testing import FlakyService

from ..streams.runs import in_virtual_time
from .services import called_endlessly, make_queueing_service, make_rejecting_service
from .tails import measure_tail

CAPACITIES = (5, 20, 60)
SECONDS = 120
LIMITS: tuple[Callable[[], ConcurrencyLimit], ...] = (
    AdaptiveLimit,
    lambda: AdaptiveLimit(200),
    lambda: ConcurrencyLimit(10),
    lambda: ConcurrencyLimit(100),
)


def _queueing(service: FlakyService) -> str:
    waited = median(seconds for _, seconds in service.answered)
    return f"{len(service.answered) / SECONDS:.1f}/s, {waited:.1f} s each"


def _rejecting(service: FlakyService) -> str:
    answered = len(service.answered)
    rejected = 100 * len(service.rejected) / answered
    return f"{answered / SECONDS:.1f}/s, {rejected:.0f} rejected per 100"


def _loaded(service: FlakyService, shared: ConcurrencyLimit) -> FlakyService:
    async def main() -> FlakyService:
        async with called_endlessly(service, shared):
            await asyncio.sleep(SECONDS)
        return service

    return in_virtual_time(main)


def rows() -> list[str]:
    """Run the simulations and return the lines of the table."""
    limits = "`AdaptiveLimit()` | `AdaptiveLimit(200)` | fixed 10 | fixed 100"
    lines = [f"| the service works on | {limits} |", "|---|---|---|---|---|"]
    for kind, name, told in (
        (make_queueing_service, "lets the rest wait", _queueing),
        (make_rejecting_service, "rejects the rest", _rejecting),
    ):
        for capacity in CAPACITIES:
            cells = [told(_loaded(kind(capacity), make())) for make in LIMITS]
            lines.append(f"| {capacity} at a time, {name} | {' | '.join(cells)} |")
    return lines


def hedge_rows() -> list[str]:
    """Run the simulations of hedging and return the lines of the table."""
    lines = ["| | p50 | p99 | calls |", "|---|---|---|---|"]
    for name, policies in (
        ("alone", ()),
        ("`hedge(percentile=95)`", (hedge(percentile=95),)),
        ("`hedge(after=3)`", (hedge(after=3),)),
    ):
        tail = in_virtual_time(partial(measure_tail, *policies))
        lines.append(f"| {name} | {tail.p50:.1f} s | {tail.p99:.1f} s | {tail.calls:,} |")
    return lines


if __name__ == "__main__":
    print("\n".join([*rows(), "", *hedge_rows()]))
