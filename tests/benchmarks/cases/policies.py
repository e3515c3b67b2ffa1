"""What each policy costs an item that succeeds at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from ..model import Case, Contestant, Params, Run, us_per_item
from ..nodes import expected_total, inputs, return_at_once, suspend_once
from ..shapes import folded, over
from ..ways import ours_as_completed

CONCURRENCY = 10
ENOUGH_PERMITS = 2 * CONCURRENCY
"""A limit that no item has to wait for."""
ENOUGH_A_SECOND = 1_000_000_000
"""A rate, or a budget, that no item has to wait for."""
ENOUGH_ENTRIES = 1_000_000
"""Entries that are never dropped."""


def _timeout() -> Any:
    from nadoo_flow.policies import timeout

    return timeout(60)


def _retry() -> Any:
    from nadoo_flow.policies import retry

    return retry(attempts=3)


def _retry_with_budget() -> Any:
    from nadoo_flow.policies import RetryBudget, retry

    return retry(attempts=3, budget=RetryBudget())


def _circuit_breaker() -> Any:
    from nadoo_flow.policies import CircuitBreaker, circuit_breaker

    return circuit_breaker(CircuitBreaker())


def _rate_limit() -> Any:
    from nadoo_flow.policies import rate_limit

    return rate_limit(ENOUGH_A_SECOND)


def _budget_of_requests() -> Any:
    from nadoo_flow.policies import RateBudget, rate_limit

    return rate_limit(RateBudget(per=60, requests=ENOUGH_A_SECOND))


def _budget_of_tokens() -> Any:
    from nadoo_flow.policies import RateBudget, rate_limit

    budget = RateBudget(per=60, requests=ENOUGH_A_SECOND, tokens=ENOUGH_A_SECOND)
    return rate_limit(budget, estimate=lambda _: {"tokens": 812})


def _corrected_budget() -> Any:
    from nadoo_flow.policies import RateBudget, rate_limit

    budget = RateBudget(per=60, requests=ENOUGH_A_SECOND, tokens=ENOUGH_A_SECOND)
    return rate_limit(budget, estimate=lambda _: {"tokens": 812}, actual=lambda _: {"tokens": 700})


def _limit() -> Any:
    from nadoo_flow.policies import ConcurrencyLimit, limit

    return limit(ConcurrencyLimit(ENOUGH_PERMITS))


def _adaptive_limit() -> Any:
    from nadoo_flow.policies import AdaptiveLimit, limit

    return limit(AdaptiveLimit(ENOUGH_PERMITS, minimum=ENOUGH_PERMITS))


def _fallback() -> Any:
    from nadoo_flow.policies import fallback

    return fallback(suspend_once)


def _hedge() -> Any:
    from nadoo_flow.policies import hedge

    return hedge(after=60)


def _cache() -> Any:
    from nadoo_flow.policies import cache

    return cache(max_entries=ENOUGH_ENTRIES)


def _prepare(policies: tuple[Callable[[], Any], ...], params: Params) -> Run:
    from nadoo_flow import FunctionNode

    node = FunctionNode(suspend_once).pipe(*(policy() for policy in policies))
    return over(folded(ours_as_completed)(node, CONCURRENCY), inputs(params["n"]))


def _prepare_known(params: Params) -> Run:
    """Prepare a run whose inputs a cache in memory knows."""
    from nadoo_flow import FunctionNode

    node = FunctionNode(suspend_once).pipe(_cache())
    way = folded(ours_as_completed)(node, CONCURRENCY)
    asyncio.run(way(inputs(params["n"])))
    return over(way, inputs(params["n"]))


def _prepare_in_thread(params: Params) -> Run:
    """Prepare a run of a function that could block."""
    from nadoo_flow import FunctionNode
    from nadoo_flow.policies import in_thread

    node = FunctionNode(return_at_once).pipe(in_thread())
    return over(folded(ours_as_completed)(node, CONCURRENCY), inputs(params["n"]))


def _contestant(name: str, *policies: Callable[[], Any]) -> Contestant:
    return Contestant(name, partial(_prepare, policies))


_FOUR = (_timeout, _retry, _limit, _fallback)
NO_POLICY = "nadoo-flow, no policy"
FOUR = "timeout, retry, limit and fallback"

CASES = (
    Case(
        module=__name__,
        name="policies",
        title="Cost of an item behind policies, concurrency 10, function suspends once",
        unit="us/item",
        variants=({"n": 20_000},),
        contestants=(
            _contestant(NO_POLICY),
            _contestant("timeout", _timeout),
            _contestant("rate_limit", _rate_limit),
            _contestant("rate_limit(RateBudget)", _budget_of_requests),
            _contestant("rate_limit(RateBudget), estimated", _budget_of_tokens),
            _contestant("rate_limit(RateBudget), corrected", _corrected_budget),
            _contestant("limit(ConcurrencyLimit)", _limit),
            _contestant("limit(AdaptiveLimit)", _adaptive_limit),
            _contestant("circuit_breaker", _circuit_breaker),
            _contestant("retry", _retry),
            _contestant("retry(budget=)", _retry_with_budget),
            _contestant("hedge", _hedge),
            Contestant("in_thread, of a sync function", _prepare_in_thread),
            _contestant("fallback", _fallback),
            _contestant("cache, a new input", _cache),
            Contestant("cache, a known input", _prepare_known),
            _contestant(FOUR, *_FOUR),
        ),
        expected=expected_total,
        figure=us_per_item,
        never_waits=True,
    ),
)
