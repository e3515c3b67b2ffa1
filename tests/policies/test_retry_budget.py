"""Retries that are a part of the calls, over all that share a budget."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import RetryBudget, retry

from .services import outcome

SPENT = (
    "ValueError: down; not tried again: the budget of retries is spent: "
    "RetryBudget(ratio=0.1, minimum=3, per=10)"
)


class Dead:
    """A service that is down, and counts its calls."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls = 0
        self._seconds = seconds

    async def __call__(self, value: Any) -> None:
        self.calls += 1
        await asyncio.sleep(self._seconds)
        raise ValueError("down")


async def test_a_dead_service_gets_a_tenth_more_calls() -> None:
    dead = Dead()
    node = FunctionNode(dead).pipe(retry(3, wait=0, budget=RetryBudget()))
    results = await BatchProcessor(node).batch(range(1000))
    assert dead.calls == 1000 + 100
    assert {result.error for result in results} <= {SPENT, "ValueError: down"}
    assert [result.error for result in results].count(SPENT) >= 900


async def test_without_one_it_gets_three_times_as_many() -> None:
    dead = Dead()
    await BatchProcessor(FunctionNode(dead).pipe(retry(3, wait=0))).batch(range(100))
    assert dead.calls == 300


async def test_the_minimum_is_there_from_the_beginning() -> None:
    dead = Dead()
    node = FunctionNode(dead).pipe(retry(10, wait=0, budget=RetryBudget(minimum=4)))
    result = await outcome(node, 1)
    assert dead.calls == 5
    assert result.metadata["attempts"] == 5
    assert result.error is not None
    assert "the budget of retries is spent" in result.error


async def test_it_comes_back_with_time() -> None:
    dead = Dead()
    budget = RetryBudget(minimum=2, per=10)
    node = FunctionNode(dead).pipe(retry(10, wait=0, budget=budget))
    await outcome(node, 1)
    await outcome(node, 1)
    assert dead.calls == 4
    await asyncio.sleep(12)
    await outcome(node, 1)
    assert dead.calls == 7


async def test_all_that_share_it_spend_it() -> None:
    budget = RetryBudget(minimum=3)
    first, second = Dead(), Dead()
    for dead in (first, second):
        await outcome(FunctionNode(dead).pipe(retry(3, wait=0, budget=budget)), 1)
    assert (first.calls, second.calls) == (3, 2)


async def test_the_last_try_takes_nothing_out_of_it() -> None:
    budget = RetryBudget(minimum=2)
    node = FunctionNode(Dead()).pipe(retry(2, wait=0, budget=budget))
    assert (await outcome(node, 1)).error == "ValueError: down"
    assert budget.take()
    assert not budget.take()


@pytest.mark.parametrize("given", [{"ratio": 0}, {"minimum": 0}, {"per": -1}, {"per": "10"}])
def test_bad_arguments_are_refused(given: dict[str, Any]) -> None:
    (parameter,) = given
    with pytest.raises((TypeError, ValueError), match=rf"^{parameter} must be "):
        RetryBudget(**given)
