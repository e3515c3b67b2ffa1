"""The policy ``rate_limit``: at most so many starts, or so much of a budget, in any window."""

from __future__ import annotations

import math
from collections.abc import Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, overload

from typing_extensions import override

from .._support.checks import check_positive_number, describe_value
from .._support.per_loop import PerLoop
from ..nodes.execution import Bound
from ..nodes.node import BaseNode, NodeLike
from .rate_budget import RateBudget
from .within_budget import Actual, Estimate, stay_within
from .wrapper import Bind, NodePolicy, PolicyNode

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

# Slightly more than the exact gap: a sum of rounded gaps must never be less than the window.
_ROUNDING = 1 + 1e-9


@overload
def rate_limit(rate: float, per: float = 1.0) -> RateLimit: ...
@overload
def rate_limit(
    rate: RateBudget, *, estimate: Estimate | None = None, actual: Actual | None = None
) -> NodePolicy: ...
def rate_limit(
    rate: float | RateBudget,
    per: float | None = None,
    *,
    estimate: Estimate | None = None,
    actual: Actual | None = None,
) -> NodePolicy:
    """Start at most ``rate`` executions in any window of ``per`` seconds, wherever it begins.

    The starts are spaced evenly, ``per / rate`` seconds apart, by aiolimiter. A bucket that allows
    bursts would let nearly twice the rate through in its first window. A rate that is not a whole
    number counts as the whole number below it, since no window holds two and a half starts. A rate
    below one allows one start in ``per / rate`` seconds.

    A :class:`RateBudget` in the place of the rate limits any units, such as tokens, and starts an
    execution as soon as its window has room.

    Args:
        rate: Starts per window, or a budget.
        per: Length of the window in seconds; 1 by default. A budget has its own.
        estimate: For a budget: gets an input as a function node would get it, and returns what it
            is going to use, such as ``{"tokens": 812}``. An item that needs more than a limit fails
            with an :class:`ExceedsBudget`. Of ``requests`` an item needs one, if nothing else is
            said.
        actual: For a budget: gets the NodeResult, and returns what was used in fact, which counts
            from the start of the execution on. It is used already where it is more than the
            estimate, so a window may be over its limit by that much, and others wait for longer. If
            it fails for a failed result, the estimate remains charged.

    Returns:
        A policy. All nodes and all runs that are given the same policy object, or the same budget,
        share the limit, as long as they are on the same event loop.

    Raises:
        TypeError: At the call, if an argument is of a wrong type, or belongs only to a budget or
            only to a rate.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> node = FunctionNode(str.upper).pipe(rate_limit(5, per=1.0))
        >>> results = asyncio.run(BatchProcessor(node).batch(["a", "b", "c"]))  # 0.2 s apart
        >>> results.outputs
        ['A', 'B', 'C']
    """
    if isinstance(rate, RateBudget):
        if per is not None:
            raise TypeError(f"per must not be given with a RateBudget, got {describe_value(per)}")
        return stay_within(rate, estimate, actual)
    for name, function in (("estimate", estimate), ("actual", actual)):
        if function is not None:
            raise TypeError(f"{name} must be given with a RateBudget, not with a rate")
    rate = check_positive_number(rate, "rate")
    return RateLimit(rate, 1.0 if per is None else check_positive_number(per, "per"))


class RateLimit(NodePolicy):
    """The policy that :func:`rate_limit` returns; all nodes that it wraps share its limit."""

    def __init__(self, rate: float, per: float) -> None:
        self.rate = rate
        self.per = per
        self._queues: PerLoop[_Queue] = PerLoop()

    @override
    def wrap(self, node: NodeLike) -> BaseNode:
        return RateLimitNode(node, self)

    def wait_for_turn(self) -> Coroutine[Any, Any, None]:
        """Wait for the next start."""
        return self._queues.get(self._make_queue).wait_for_turn()

    @property
    def waiting(self) -> int:
        """How many executions wait for their turn at the moment."""
        return sum(queue.waiting for queue in self._queues.list_alive())

    def _make_queue(self) -> _Queue:
        from aiolimiter import AsyncLimiter

        whole = math.floor(self.rate) if self.rate >= 1 else self.rate
        return _Queue(AsyncLimiter(1, self.per / whole * _ROUNDING))

    def __repr__(self) -> str:
        return f"rate_limit({self.rate:g}, per={self.per:g})"


class _Queue:
    """The executions of one event loop that wait for their turn.

    Attributes:
        waiting: How many there are.
    """

    def __init__(self, limiter: AsyncLimiter) -> None:
        self._limiter = limiter
        self.waiting = 0

    async def wait_for_turn(self) -> None:
        """Wait for the next start."""
        self.waiting += 1
        try:
            await self._limiter.acquire()
        finally:
            self.waiting -= 1


class RateLimitNode(PolicyNode):
    """A node that waits for its turn."""

    def __init__(self, node: NodeLike, limit: RateLimit) -> None:
        super().__init__(node)
        self.limit = limit

    def _bind_around(self, attempt: Bound, bind: Bind) -> Bound:
        call, gives_output = attempt
        wait_for_turn = self.limit.wait_for_turn

        async def call_in_turn(value: Any) -> Any:
            await wait_for_turn()
            answer = call(value)
            return await answer if type(answer) is CoroutineType else answer

        return Bound(call_in_turn, gives_output)
