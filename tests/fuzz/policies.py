"""Makes the policies that are drawn behind all else, and keeps what their books need."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from nadoo_flow import BaseNode, FunctionNode, NodeContext, NodeResult, WorkflowContext
from nadoo_flow.policies import (
    CircuitBreaker,
    CircuitChange,
    RateBudget,
    RetryBudget,
    cache,
    circuit_breaker,
    hedge,
    in_thread,
    rate_limit,
    retry,
)

from .acts import perform_without_waiting
from .case import Leaf, Policy, Work
from .ledger import Ledger
from .values import get_bare, key_of

BREAKER, PATIENT_BREAKER = "breaker", "patient_breaker"
HEDGE = "hedge"
BUDGET, TOKEN_BUDGET = "budget", "token_budget"
RETRY_BUDGET, GIVING_UP = "retry_budget", "giving_up"
CACHE, SHARED_CACHE = "cache", "shared_cache"
IN_THREAD = "in_thread"

NUMBERS: dict[str, tuple[float, ...]] = {
    BREAKER: (1.0, 2.0, 3.0),
    PATIENT_BREAKER: (1.0, 2.0, 3.0),
    HEDGE: (0.05, 0.3, 0.75),
    BUDGET: (2.0, 10.0),
    TOKEN_BUDGET: (10.0, 40.0),
    RETRY_BUDGET: (2.0, 3.0),
    GIVING_UP: (2.0, 3.0),
    CACHE: (0.0,),
    SHARED_CACHE: (1.0, 2.0, 3.0),
}
"""The policies that can be around any node, and what is drawn for each as its number."""
LATER = (*NUMBERS, IN_THREAD)
"""The kinds that are made here."""

RECOVERY = 0.5
"""Seconds for which a breaker is open."""
REQUESTS = 4
"""Calls in a second, of a budget that has tokens too."""
RETRIES = 1
"""Retries that a budget of them allows whatever the calls are."""
HOPELESS = ("ValueError", "OSError")
"""The errors that are given up on."""


class LaterPolicies:
    """Makes policies for one run.

    Attributes:
        changes: Those of each breaker, by its number.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.changes: dict[float, list[CircuitChange]] = {}
        self._breakers: dict[float, CircuitBreaker] = {}
        self._budgets: dict[float, RateBudget] = {}
        self._retries: dict[float, RetryBudget] = {}
        self._lock = threading.Lock()

    def wrap(self, policy: Policy, make: Callable[[Work], BaseNode]) -> BaseNode:
        """Make a node with a policy around it."""
        if policy.kind == IN_THREAD and isinstance(policy.node, Leaf):
            return self._make_leaf_in_thread(policy.node)
        node, number = make(policy.node), policy.number
        match policy.kind:
            case "breaker" | "patient_breaker":
                return node.pipe(self._make_breaker(policy))
            case "hedge":
                return node.pipe(hedge(number, ratio=1))
            case "budget":
                budget = self._budgets.setdefault(number, RateBudget(per=1, requests=number))
                return node.pipe(rate_limit(budget))
            case "token_budget":
                new = RateBudget(per=1, requests=REQUESTS, tokens=number)
                budget = self._budgets.setdefault(-number, new)  # beside those without tokens
                return node.pipe(rate_limit(budget, estimate=_estimate, actual=_read_used))
            case "retry_budget":
                spare = RetryBudget(ratio=0.1, minimum=RETRIES, per=1_000)
                spare = self._retries.setdefault(number, spare)
                return node.pipe(retry(int(number), wait=0.5, budget=spare))
            case "giving_up":
                return node.pipe(retry(int(number), wait=0.5, give_up_on=(ValueError, OSError)))
            case "cache":
                return node.pipe(cache())
        return AskingNode(node.pipe(cache()), int(number), self.ledger)

    def _make_leaf_in_thread(self, leaf: Leaf) -> BaseNode:
        """Make a leaf whose function is called in threads."""
        ledger, lock = self.ledger, self._lock

        def work(value: Any) -> Any:
            act = leaf.acts[key_of(value) % len(leaf.acts)]
            with lock, ledger.execution(leaf.name, key_of(value), lambda: 0.0):
                perform_without_waiting(act, ledger)
            return value

        return FunctionNode(work, leaf.name).pipe(in_thread())

    def _make_breaker(self, policy: Policy) -> Callable[[BaseNode], BaseNode]:
        breaker = self._breakers.get(policy.number)
        if breaker is None:
            breaker = CircuitBreaker(int(policy.number), recovery=RECOVERY)
            breaker.changes.subscribe(self.changes.setdefault(policy.number, []).append)
            self._breakers[policy.number] = breaker
        return circuit_breaker(breaker, wait=policy.kind == PATIENT_BREAKER)


class AskingNode(BaseNode):
    """A node that asks a cached one for few different inputs, and answers with its own."""

    def __init__(self, cached: BaseNode, keys: int, ledger: Ledger) -> None:
        super().__init__(cached.node_id)
        self._cached = cached
        self._keys = keys
        self._ledger = ledger

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        value = get_bare(node_context.input_data)
        key = key_of(value) % self._keys
        result = await self._cached.execute(NodeContext({"item": key}), workflow_context)
        if result.success and result.output != key:
            self._ledger.find(f"a cache gave {result.output!r} for {key}")
        return NodeResult(True, value, None, result.metadata) if result.success else result


def _estimate(value: Any) -> dict[str, float]:
    return {"tokens": key_of(value) % 7}


def _read_used(result: NodeResult) -> dict[str, float]:
    return {"tokens": key_of(result.output) % 5}
