"""The limits, budgets and circuits of a node are found wherever they are, and read as they are."""

from __future__ import annotations

import asyncio

from nadoo_flow import FunctionNode, MapNode, ParallelNode
from nadoo_flow.dashboard.gauges import Reading, find_gauges
from nadoo_flow.nodes import BaseNode
from nadoo_flow.policies import (
    AdaptiveLimit,
    CircuitBreaker,
    ConcurrencyLimit,
    RateBudget,
    RetryBudget,
    circuit_breaker,
    fallback,
    limit,
    rate_limit,
    retry,
)

from ..stand_ins import raised_by, slowly


def readings(node: BaseNode) -> dict[Reading, tuple[str, ...]]:
    return {gauge.read(): gauge.nodes for gauge in find_gauges(node)}


async def fail(value: object) -> None:
    raise ConnectionError("refused")


async def test_a_limit_shows_what_is_in_use_and_who_waits() -> None:
    node = FunctionNode(slowly, "slow").pipe(limit(ConcurrencyLimit(2)))
    running = [asyncio.ensure_future(node.run(1)) for _ in range(5)]
    await asyncio.sleep(0.5)
    assert readings(node) == {Reading("limit", "2 of 2 in use", 2, 2, 3): ("slow",)}
    await asyncio.gather(*running)
    assert readings(node) == {Reading("limit", "0 of 2 in use", 0, 2, 0): ("slow",)}


async def test_a_rate_shows_who_waits_for_a_turn() -> None:
    node = FunctionNode(slowly, "slow").pipe(rate_limit(2))
    running = [asyncio.ensure_future(node.run(0)) for _ in range(4)]
    await asyncio.sleep(0.6)
    assert readings(node) == {Reading("rate", "2 a second", waiting=2): ("slow",)}
    running[3].cancel()
    await asyncio.wait(running)
    assert readings(node) == {Reading("rate", "2 a second"): ("slow",)}


async def test_a_rate_budget_shows_what_is_taken_of_each_unit() -> None:
    budget = RateBudget(per=10, requests=3, tokens=1_000)
    node = FunctionNode(slowly, "slow").pipe(rate_limit(budget, estimate=lambda _: {"tokens": 250}))
    empty = Reading("rate budget", "0 of 3 requests, 0 of 1,000 tokens in 10 s", 0, 1)
    assert readings(node) == {empty: ("slow",)}
    running = [asyncio.ensure_future(node.run(0)) for _ in range(5)]
    await asyncio.sleep(1)
    state = "3 of 3 requests, 750 of 1,000 tokens in 10 s"
    assert readings(node) == {Reading("rate budget", state, 1, 1, 2): ("slow",)}
    await asyncio.gather(*running)


async def test_a_budget_shows_what_is_spent() -> None:
    budget = RetryBudget(minimum=2)
    node = FunctionNode(fail).pipe(retry(attempts=5, wait=0, budget=budget))
    await raised_by(node.run(1))
    (reading,) = readings(node)
    assert reading == Reading("retry budget", "2 of 2 retries spent", 2, 2)


async def test_a_circuit_shows_its_state_and_why_it_is_open() -> None:
    breaker = CircuitBreaker(failures=1, recovery=5)
    node = FunctionNode(fail).pipe(circuit_breaker(breaker, wait=True))
    assert readings(node) == {Reading("circuit", "closed"): ("fail",)}
    await raised_by(node.run(1))
    waiting = asyncio.ensure_future(node.run(1))
    await asyncio.sleep(1)
    error = "ConnectionError: refused"
    assert readings(node) == {Reading("circuit", "open", waiting=1, error=error): ("fail",)}
    await raised_by(waiting)


def test_what_is_shared_is_found_once_with_all_who_share_it() -> None:
    shared = AdaptiveLimit(4)
    one, two = (FunctionNode(slowly, name).pipe(limit(shared)) for name in ("one", "two"))
    both = ParallelNode([one, two], node_id="both").pipe(fallback(two))
    chain = MapNode("a", both, "items", "x") | MapNode("b", one, "x", "y")
    assert readings(chain) == {Reading("limit", "0 of 4 in use", 0, 4): ("one", "two")}


def test_nodes_that_hold_each_other_or_odd_things_are_passed_through() -> None:
    class Liar:
        @property
        def __class__(self) -> type:  # type: ignore[override]
            raise ValueError("what I am is my own business")

    class Odd(BaseNode):
        pass

    odd = Odd()
    odd.me, odd.liar, odd.by_name = odd, Liar(), {"x": FunctionNode(slowly).pipe(rate_limit(3, 2))}  # type: ignore[attr-defined]
    assert readings(odd) == {Reading("rate", "3 a 2 s"): ("slowly",)}
