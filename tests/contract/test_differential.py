"""The engine against stock Rx: the same results at the same times."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler

from nadoo_flow.streams import Isolation, observe

from ..stand_ins import now
from ..streams.runs import in_any_case, in_virtual_time, lanes_plan


@dataclass
class Case:
    """Items that take so many seconds each, some of which fail then."""

    delays: Sequence[int]
    max_concurrent: int
    failing: frozenset[int] = frozenset()
    running: int = 0
    peak: int = 0
    order: list[int] = field(default_factory=list)

    async def work(self, item: int) -> int:
        self.order.append(item)
        self.running += 1
        self.peak = max(self.peak, self.running)
        await asyncio.sleep(self.delays[item])
        self.running -= 1
        if item in self.failing:
            raise LookupError(item)
        return item


@dataclass
class Outcome:
    """What an observer saw: how many of each result at each time, and how and when it ended."""

    results: dict[float, Counter[int]] = field(default_factory=dict)
    end: str = ""
    ended_at: float = -1

    def before(self, time: float) -> dict[float, Counter[int]]:
        return {at: results for at, results in self.results.items() if at < time}


Engine: TypeAlias = Callable[[Case], Observable[int]]


def with_futures(case: Case) -> Observable[int]:
    """Run a case on stock Rx: a future an item, made when a slot is free for it."""

    def deferred(item: int) -> Observable[int]:
        return rx.defer(lambda _: rx.from_future(asyncio.ensure_future(case.work(item))))

    return stock(case, deferred)


def with_timers(case: Case) -> Observable[int]:
    """Run a case on stock Rx: a timer an item."""

    def timed(item: int) -> Observable[int]:
        def outcome(_: object) -> int:
            if item in case.failing:
                raise LookupError(item)
            return item

        return rx.timer(case.delays[item]).pipe(ops.map(outcome))

    return stock(case, timed)


def stock(case: Case, inner: Callable[[int], Observable[int]]) -> Observable[int]:
    items = rx.from_iterable(range(len(case.delays)))
    return items.pipe(ops.map(inner), ops.merge(max_concurrent=case.max_concurrent))


def ours(isolate: Isolation) -> Engine:
    def engine(case: Case) -> Observable[int]:
        items = range(len(case.delays))
        return observe(lanes_plan(items, case.work, case.max_concurrent, isolate=isolate))

    return engine


def observed_with(engine: Engine, case: Case) -> Outcome:
    """Run a case on an engine in a virtual loop of its own."""

    async def main() -> Outcome:
        outcome = Outcome()
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def on_next(item: int) -> None:
            outcome.results.setdefault(now(), Counter())[item] += 1

        def end(how: str) -> None:
            outcome.end, outcome.ended_at = how, now()
            ended.set_result(None)

        engine(case).subscribe(
            on_next,
            lambda error: end(type(error).__name__),
            lambda: end("completed"),
            scheduler=AsyncIOScheduler(loop),
        )
        await ended
        await asyncio.sleep(0)
        return outcome

    return in_virtual_time(main)


DELAYS = st.lists(st.integers(0, 5), max_size=25)
LIMITS = st.integers(1, 8)


@pytest.mark.slow
@pytest.mark.parametrize("reference", [with_futures, with_timers])
@in_any_case
@given(delays=DELAYS, limit=LIMITS, isolate=st.sampled_from(["context", "task"]))
def test_rule_r2_results_are_those_of_stock_rx_at_the_same_times(
    reference: Engine, delays: list[int], limit: int, isolate: Isolation
) -> None:
    expected = observed_with(reference, Case(delays, limit))
    assert observed_with(ours(isolate), Case(delays, limit)) == expected
    assert expected.end == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("reference", [with_futures, with_timers])
@in_any_case
@given(delays=DELAYS, limit=LIMITS, failing=st.frozensets(st.integers(0, 24), min_size=1))
def test_rule_r2_the_first_failure_ends_it_at_the_time_of_stock_rx(
    reference: Engine, delays: list[int], limit: int, failing: frozenset[int]
) -> None:
    expected = observed_with(reference, Case(delays, limit, failing))
    result = observed_with(ours("context"), Case(delays, limit, failing))
    assert (result.end, result.ended_at) == (expected.end, expected.ended_at)
    # What comes at the very time of a failure may come before or behind it.
    failed = expected.end != "completed"
    until = expected.ended_at if failed else float("inf")
    assert result.before(until) == expected.before(until)


@pytest.mark.slow
@in_any_case
@given(
    delays=DELAYS,
    limit=st.one_of(LIMITS, st.just(10**9)),
    isolate=st.sampled_from(["context", "task"]),
)
def test_rule_r1_the_peak_is_exact_and_items_start_in_order(
    delays: list[int], limit: int, isolate: Isolation
) -> None:
    case = Case(delays, limit)
    observed_with(ours(isolate), case)
    assert case.peak == min(len(delays), limit)
    assert case.order == list(range(len(delays)))
    assert case.running == 0


def test_the_two_references_agree() -> None:
    case = Case([3, 1, 2, 0, 5, 1], 2)
    expected = {1.0: Counter([1]), 3.0: Counter([0, 2, 3]), 4.0: Counter([5]), 8.0: Counter([4])}
    for reference in (with_futures, with_timers):
        outcome = observed_with(reference, case)
        assert (outcome.results, outcome.end, outcome.ended_at) == (expected, "completed", 8.0)
