"""What each policy costs an item that succeeds at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..model import Case, Contestant, Params, Run, us_per_item
from ..nodes import expected_total, inputs, make_node
from ..ways import folded, ours_as_completed, over

ENOUGH = 1_000_000_000
"""A limit that no item has to wait for."""


def _timeout() -> Any:
    from nadoo_flow.policies import timeout

    return timeout(60)


def _retry() -> Any:
    from nadoo_flow.policies import retry

    return retry(attempts=3)


def _rate_limit() -> Any:
    from nadoo_flow.policies import rate_limit

    return rate_limit(ENOUGH)


def _limit() -> Any:
    from nadoo_flow.policies import ConcurrencyLimit, limit

    return limit(ConcurrencyLimit(ENOUGH))


def _adaptive_limit() -> Any:
    from nadoo_flow.policies import AdaptiveLimit, limit

    return limit(AdaptiveLimit(100, 100, 100))


def _fallback() -> Any:
    from nadoo_flow.policies import fallback

    return fallback(make_node("yield"))


def _prepare(policies: tuple[Callable[[], Any], ...], params: Params) -> Run:
    node = make_node("yield").pipe(*(policy() for policy in policies))
    return over(folded(ours_as_completed)(node, 10), inputs(params["n"]))


def _contestant(name: str, *policies: Callable[[], Any]) -> Contestant:
    return Contestant(name, partial(_prepare, policies))


_STACK = (_timeout, _rate_limit, _limit, _retry, _fallback)

CASES = (
    Case(
        module=__name__,
        name="policies",
        title="Cost of an item behind policies, concurrency 10, node suspends once",
        unit="us/item",
        variants=({"n": 20_000},),
        contestants=(
            _contestant("nadoo-flow, no policy"),
            _contestant("timeout", _timeout),
            _contestant("rate_limit", _rate_limit),
            _contestant("limit(ConcurrencyLimit)", _limit),
            _contestant("limit(AdaptiveLimit)", _adaptive_limit),
            _contestant("retry", _retry),
            _contestant("fallback", _fallback),
            _contestant("all of them", *_STACK),
        ),
        expected=expected_total,
        figure=us_per_item,
        never_waits=True,
    ),
)
