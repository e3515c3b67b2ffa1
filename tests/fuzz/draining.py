"""Ends a run by a drain, a deadline or a budget for failures, and checks that the counts add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nadoo_flow import BatchResults, Valve
from nadoo_flow.streams import Subscription

from .case import Batch, Case, Ending, Leaf, Stage
from .endings import End
from .facts import subscribes_again
from .ledger import Ledger
from .model import fate_of_stages

EARLY = ("drain", "deadline", "failures")
"""Endings at which what is in work is finished."""

HOT = ("cold", "subject", "thread")
"""Sources whose items wait in a buffer, so that more is left than was pulled."""

_is_early: ContextVar[bool] = ContextVar("fuzz_early", default=False)


def is_early() -> bool:
    """Return whether the case is one of those."""
    return _is_early.get()


@contextmanager
def early() -> Iterator[None]:
    """Note that the case is one of those."""
    token = _is_early.set(True)
    try:
        yield
    finally:
        _is_early.reset(token)


class NotedValve(Valve):
    """Knows the runs that it was given to."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Subscription] = []

    def _add(self, run: Subscription) -> None:
        self.runs.append(run)
        super()._add(run)


def make_limits(ending: Ending, valve: Valve | None) -> dict[str, Any]:
    """Make the arguments of the processor that end its runs."""
    if valve is None:
        return {}
    match ending.kind:
        case "deadline":
            return {"valve": valve, "deadline": ending.seconds, "grace": ending.timeout}
        case "failures":
            return {"valve": valve, "max_failures": ending.items}
    return {"valve": valve}


async def drain_later(ending: Ending, valve: NotedValve, ledger: Ledger) -> None:
    """Drain a run after its time, if a limit does not."""
    if ending.kind == "deadline":
        return
    await asyncio.sleep(ending.seconds)
    cancelled = await valve.drain(ending.timeout)
    if cancelled != sum(run.draining.cancelled for run in valve.runs):
        ledger.find(f"{cancelled} items are said to be cancelled")


def check_early_end(case: Case, end: End, ledger: Ledger, valve: NotedValve) -> None:
    """Check that the counts add up where the run has ended by itself."""
    if end.kind != "completed" or ledger.fatal or ledger.closed_from_inside:
        return
    cancelled = sum(run.draining.cancelled for run in valve.runs)
    cut = any(run.draining.is_cut for run in valve.runs)
    if cancelled and not cut:
        ledger.find("items are said to be cancelled that cannot be")
    if isinstance(case.what, Batch):
        _check_batch(case, case.what, end, ledger, valve, cancelled)
    elif len(case.what) == 1 or not any(stage.stays_apart for stage in case.what):
        _check_stages(case, case.what, end, ledger, cut)


def _check_batch(
    case: Case, batch: Batch, end: End, ledger: Ledger, valve: NotedValve, cancelled: int
) -> None:
    (run,) = valve.runs
    results = len(ledger.received)
    accounted = results + run.draining.not_started + cancelled
    if run.pulled != accounted and case.source.kind not in HOT:
        ledger.find(
            f"{run.pulled} inputs were pulled: {results} results, "
            f"{run.draining.not_started} not started, {cancelled} cancelled"
        )
    if isinstance(batch.work, Leaf) and not batch.own_single and not case.is_second:
        begun = {execution.key for execution in ledger.executions}
        lost = begun - {result.index for result in ledger.received}
        if len(lost) != cancelled:
            ledger.find(f"items {sorted(lost)} have begun and no result, {cancelled} cancelled")
    value = end.value
    if not isinstance(value, BatchResults):
        return
    if case.source.kind == "list" and value.not_started is not None:
        total = results + value.not_started + cancelled
        if total != case.source.length:
            ledger.find(f"{total} of {case.source.length} inputs are accounted for")
    failed = len(value.failed)
    if case.ending.kind == "failures" and not case.is_second and case.disk is None:
        reached = value.stopped is not None and value.stopped.limit == "max_failures"
        if reached != (failed >= case.ending.items):
            ledger.find(f"{failed} failed, and the run was ended by {value.stopped}")
    if value.stopped is not None and value.stopped.cancelled != cancelled:
        ledger.find(f"{cancelled} were cancelled, and it says {value.stopped.cancelled}")


def _check_stages(
    case: Case, stages: tuple[Stage, ...], end: End, ledger: Ledger, cut: bool
) -> None:
    """Check that what the first stage has started went through all of them."""
    first = stages[0]
    named = first.many or (first.work if isinstance(first.work, Leaf) else None)
    if named is None or first.kind not in ("map", "filter", "flat_map") or cut:
        return
    if subscribes_again(case):
        return
    # An expansion feeds nothing back any more, and what it had found by then depends on races.
    if any("take" in stage.operators or stage.kind == "expand" for stage in stages):
        return
    begun = sorted({one.key for one in ledger.executions if one.name == named.name})
    outcome = fate_of_stages(stages, begun, None)
    if outcome is None or outcome.error is not None:
        return
    received = ledger.received
    if case.way == "run":
        received = [end.value] if stages[-1].kind == "reduce" else list(end.value)
    came, right = Counter(map(repr, received)), Counter(map(repr, outcome.values))
    if came != right:
        ledger.find(f"of the items {begun} came {sorted(came)}; right are {sorted(right)}")
