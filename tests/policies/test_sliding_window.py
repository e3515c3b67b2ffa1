"""A budget against a model of its charges: random calls, and no window is over its limits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadoo_flow import FunctionNode, NodeResult
from nadoo_flow.policies import RateBudget, rate_limit
from nadoo_flow.policies.sliding_window import SlidingWindow, make_exact

from ..stand_ins import assert_only_the_caller_runs, now
from ..streams.runs import in_any_case, in_virtual_time
from .services import HttpError

PER = 10
LIMITS = {"tokens": 10, "usd": 0.5}

Amounts = dict[str, float]

seconds = st.sampled_from([0, 0.1, 0.7, 1, 3, 5, 9.99, 10, 10.1, 30])
amounts = st.fixed_dictionaries(
    {
        "tokens": st.sampled_from([0, 0.1, 1, 2, 3, 5, 7, 10]),
        "usd": st.sampled_from([0, 0.1, 0.123, 0.2, 0.5]),
    }
)


@dataclass(eq=False)
class Call:
    """A call that comes some seconds after the one before.

    Attributes:
        estimate: What it is charged before it starts.
        actual: What it is charged in the end.
        lasts: Seconds from its start on.
        cancelled: Seconds after it has come, if it is.
        refused: What its service asks to wait, if it refuses it.
    """

    after: float
    estimate: Amounts
    actual: Amounts
    lasts: float
    cancelled: float | None
    refused: float | None


def calls(actual: st.SearchStrategy[Amounts]) -> st.SearchStrategy[list[Call]]:
    call = st.builds(
        Call,
        after=st.just(0) | seconds,
        estimate=amounts,
        actual=actual,
        lasts=seconds,
        cancelled=st.none() | seconds,
        refused=st.none() | st.none() | st.none() | seconds.filter(bool),
    )
    return st.lists(call, max_size=25)


@dataclass
class Ledger:
    """What is known of the calls that have come and started."""

    came: list[Call] = field(default_factory=list)
    started: list[Call] = field(default_factory=list)
    at: list[Fraction] = field(default_factory=list)
    charged: list[Amounts] = field(default_factory=list)
    answered: list[Call] = field(default_factory=list)
    quiet_until: float = 0

    def add_up(self, unit: str, end: Fraction) -> Fraction:
        """Add up the window that has its end, which belongs to it, at some time."""
        return sum(
            (
                Fraction(str(amounts[unit]))
                for at, amounts in zip(self.at, self.charged, strict=True)
                if at <= end < at + PER
            ),
            Fraction(0),
        )


async def make_calls(given_calls: list[Call]) -> Ledger:
    """Make calls behind a budget, and check each start by what is known at that time."""
    ledger = Ledger()

    def estimate(call: Call) -> Amounts:
        ledger.came.append(call)
        return call.estimate

    async def work(call: Call) -> Any:
        position = len(ledger.started)
        ledger.started.append(call)
        ledger.at.append(Fraction(now()))
        ledger.charged.append(call.estimate)
        for unit, limit in LIMITS.items():
            if call.estimate[unit]:
                assert ledger.add_up(unit, ledger.at[-1]) <= Fraction(str(limit))
        assert now() >= ledger.quiet_until
        await asyncio.sleep(call.lasts)
        ledger.answered.append(call)
        if call.refused is not None:
            ledger.quiet_until = max(ledger.quiet_until, now() + call.refused)
            return NodeResult(False, error="no", exception=HttpError(retry_after=call.refused))
        ledger.charged[position] = call.actual
        return call

    budget = RateBudget(PER, **LIMITS)
    node = FunctionNode(work).pipe(
        rate_limit(budget, estimate=estimate, actual=lambda result: result.output.actual)
    )

    async def come(call: Call, at: float) -> None:
        await asyncio.sleep(at)
        done, _ = await asyncio.wait(
            [task := asyncio.create_task(node.run(call))], timeout=call.cancelled
        )
        if not done:
            task.cancel()
        await asyncio.wait([task])
        cancelled = task.cancelled()
        assert cancelled == (call not in ledger.answered)
        assert cancelled or (task.exception() is None) == (call.refused is None)

    times = accumulate(call.after for call in given_calls)
    await asyncio.gather(*map(come, given_calls, times))
    assert_only_the_caller_runs()
    return ledger


@in_any_case
@given(calls(amounts))
def test_calls_start_in_their_order_when_what_is_known_leaves_room(given_calls: list[Call]) -> None:
    ledger = in_virtual_time(lambda: make_calls(given_calls))
    assert ledger.started == [call for call in ledger.came if call in ledger.started]


@in_any_case
@given(calls(st.just({"tokens": 0, "usd": 0.1})))
def test_no_window_is_charged_more_than_a_limit_if_no_estimate_was_too_low(
    given_calls: list[Call],
) -> None:
    for call in given_calls:
        call.actual = {unit: min(call.estimate[unit], call.actual[unit]) for unit in LIMITS}
    ledger = in_virtual_time(lambda: make_calls(given_calls))
    for unit, limit in LIMITS.items():
        assert all(ledger.add_up(unit, end) <= Fraction(str(limit)) for end in ledger.at)


def test_sums_of_fractions_do_not_drift() -> None:
    window, tenth = SlidingWindow(1, (make_exact(1.0),)), (make_exact(0.1),)
    for second in range(1, 1_000, 2):
        assert all(window.start_if_room(tenth, second) for _ in range(10))
        assert window.start_if_room(tenth, second) is None
        assert window.sum_charges(second) == (1,)


@pytest.mark.parametrize(
    ("number", "exact"), [(3, 3), (3.0, 3), (0.1, Fraction(1, 10)), (1e16, 10**16)]
)
def test_a_number_is_taken_as_it_is_written(number: float, exact: Any) -> None:
    assert make_exact(number) == exact
    assert isinstance(make_exact(number), int) == (exact == int(exact))
