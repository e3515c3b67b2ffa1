"""What the policies that this library makes have in common: they wrap, and they are no nodes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    FunctionNode,
    MapNode,
    ParallelNode,
    Pipeline,
)
from nadoo_flow.executors import on
from nadoo_flow.policies import (
    AdaptiveLimit,
    CircuitBreaker,
    cache,
    circuit_breaker,
    fallback,
    in_thread,
    limit,
    rate_limit,
    retry,
    timeout,
)
from nadoo_flow.policies.wrapper import PolicyNode

from ..stand_ins import double

POLICIES: dict[str, Callable[[], Any]] = {
    "retry(attempts=3)": lambda: retry(3),
    "timeout(0.5)": lambda: timeout(0.5),
    "fallback('double', 'len')": lambda: fallback(double, len),
    "limit(ConcurrencyLimit(2, in_use=0))": lambda: limit(ConcurrencyLimit(2)),
    "limit(AdaptiveLimit(10, in_use=0))": lambda: limit(AdaptiveLimit()),
    "rate_limit(5, per=1)": lambda: rate_limit(5),
    "circuit_breaker(CircuitBreaker(5, recovery=30, state='closed'))": lambda: circuit_breaker(
        CircuitBreaker()
    ),
    "in_thread()": in_thread,
    "in_thread(max_workers=2)": lambda: in_thread(2),
    "cache()": cache,
    "cache(version='2', ttl=60)": lambda: cache(version="2", ttl=60),
    "on": lambda: on(ThreadPoolExecutor),
}
each_policy = pytest.mark.parametrize(
    "make", POLICIES.values(), ids=[text.partition("(")[0] for text in POLICIES]
)
NODE = FunctionNode(double)


@each_policy
@pytest.mark.parametrize(
    ("give", "parameter"),
    [
        (lambda policy: NODE | policy, "node"),
        (lambda policy: policy | NODE, "node"),
        (lambda policy: NODE | double | policy, "node"),
        (lambda policy: Pipeline(NODE, policy), "node"),
        (lambda policy: policy(policy), "node"),
        (BatchProcessor, "node"),
        (lambda policy: MapNode("map", policy), "child_node"),
        (lambda policy: ParallelNode([policy]), "each of nodes"),
        (fallback, "each of others"),
    ],
)
def test_rule_r18_a_policy_in_the_place_of_a_node_is_refused(
    make: Callable[[], Any], give: Callable[[Any], object], parameter: str
) -> None:
    with pytest.raises(TypeError) as caught:
        give(policy := make())
    text = repr(policy)
    expected = f"{parameter} must be a node, got the policy {text}; write node.pipe({text})"
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", sorted(POLICIES.keys() - {"on"}))
def test_a_policy_is_shown_as_it_is_written(text: str) -> None:
    assert repr(POLICIES[text]()) == text


@each_policy
@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_policy_wraps_a_function_as_it_wraps_a_node(make: Callable[[], Any]) -> None:
    wrapped = make()(double)
    assert isinstance(wrapped, PolicyNode)
    assert wrapped.node_id == "double"
    assert await wrapped.run(2) == 4


@each_policy
def test_a_policy_refuses_what_is_neither(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"^node must be a node or a function, got 5 \(int\)$"):
        make()(5)


async def test_a_policy_of_ones_own_is_a_function_like_any_other() -> None:
    class Calling(PolicyNode):
        async def execute(self, *contexts: Any) -> Any:
            return await self.attempt(*contexts)

    def policy(node: BaseNode) -> BaseNode:
        return Calling(node)

    assert await NODE.pipe(policy, Calling).run(2) == 4
    assert await Calling(double).run(2) == 4
