"""Gauges: the state of the limits, budgets and circuits that a node uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

from .._support.usage import format_number
from ..nodes.node import BaseNode
from ..policies.circuit import CircuitBreaker
from ..policies.concurrency_limit import ConcurrencyLimit
from ..policies.rate_budget import RateBudget
from ..policies.rate_limit import RateLimit
from ..policies.retry_budget import RetryBudget


class Reading(NamedTuple):
    """What a gauge shows.

    Attributes:
        kind: What it is.
        state: In words.
        level: How much of it is in use, if that can be said.
        size: The most that can be in use.
        waiting: Executions that wait for it.
        error: The last error, where it is of interest.
    """

    kind: str
    state: str
    level: float | None = None
    size: float | None = None
    waiting: int = 0
    error: str | None = None


class Gauge(NamedTuple):
    """The state of something, and the nodes that use it."""

    source: Any
    nodes: tuple[str, ...]

    def read(self) -> Reading:
        """Read it; it may be in use in another thread."""
        return next(read(self.source) for kind, read in _KINDS if isinstance(self.source, kind))


def find_gauges(node: BaseNode) -> list[Gauge]:
    """Find what a node, its policies and the nodes inside it use, each once."""
    found: dict[int, tuple[Any, dict[str, None]]] = {}
    for each in _walk(node):
        for value in vars(each).copy().values():
            if issubclass(type(value), tuple(kind for kind, _ in _KINDS)):
                _, nodes = found.setdefault(id(value), (value, {}))
                nodes[each.node_id] = None
    return [Gauge(source, tuple(nodes)) for source, nodes in found.values()]


def _walk(node: BaseNode) -> Iterator[BaseNode]:
    """Give a node and all nodes inside it, each once."""
    seen, left = {id(node)}, [node]
    while left:
        node = left.pop()
        yield node
        inside = [child for value in vars(node).copy().values() for child in _list_nodes(value)]
        for child in reversed(inside):
            if id(child) not in seen:
                seen.add(id(child))
                left.append(child)


def _list_nodes(value: object) -> list[BaseNode]:
    """List the nodes in an attribute: one, or a collection of them."""
    # By the type itself, because an object of the user's may say that it is of any class.
    kind = type(value)
    if issubclass(kind, BaseNode):
        return [cast(BaseNode, value)]
    collected: list[object] = []
    if kind in (list, tuple):
        collected = list(cast("list[object]", value))
    elif kind is dict:
        collected = list(cast("dict[object, object]", value).values())
    return [cast(BaseNode, each) for each in collected if issubclass(type(each), BaseNode)]


def _read_limit(limit: ConcurrencyLimit) -> Reading:
    state = f"{limit.in_use:,} of {limit.size:,} in use"
    return Reading("limit", state, limit.in_use, limit.size, limit.waiting)


def _read_rate(rate: RateLimit) -> Reading:
    per = "second" if rate.per == 1 else f"{rate.per:g} s"
    return Reading("rate", f"{rate.rate:g} a {per}", waiting=rate.waiting)


def _read_rate_budget(budget: RateBudget) -> Reading:
    taken = budget.taken
    state = ", ".join(
        f"{format_number(taken[unit])} of {format_number(most)} {unit}"
        for unit, most in budget.limits.items()
    )
    fullest = max(taken[unit] / most for unit, most in budget.limits.items())
    return Reading("rate budget", f"{state} in {budget.per:g} s", fullest, 1, budget.waiting)


def _read_budget(budget: RetryBudget) -> Reading:
    allowed = int(budget.allowed)
    state = f"{budget.retries:,} of {allowed:,} retries spent"
    return Reading("retry budget", state, budget.retries, allowed)


def _read_circuit(breaker: CircuitBreaker) -> Reading:
    error = None if breaker.state == "closed" else breaker.last_error
    return Reading("circuit", breaker.state, waiting=breaker.waiting, error=error)


_KINDS: tuple[tuple[type, Callable[[Any], Reading]], ...] = (
    (ConcurrencyLimit, _read_limit),
    (RateLimit, _read_rate),
    (RateBudget, _read_rate_budget),
    (RetryBudget, _read_budget),
    (CircuitBreaker, _read_circuit),
)
