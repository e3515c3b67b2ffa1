"""The policy ``rate_limit``: at most so many starts in any window of time."""

from __future__ import annotations

import math
from collections.abc import Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .._support.checks import check_positive_number
from .._support.per_loop import PerLoop
from ..nodes.context import WorkflowContext
from ..nodes.execution import Bound
from ..nodes.node import BaseNode, NodeLike
from .wrapper import NodePolicy, PolicyNode

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

# Slightly more than the exact gap: a sum of rounded gaps must never be less than the window.
_ROUNDING = 1 + 1e-9


def rate_limit(rate: float, per: float = 1.0) -> RateLimit:
    """Start at most ``rate`` executions in any window of ``per`` seconds, wherever it begins.

    The starts are spaced evenly, ``per / rate`` seconds apart, by aiolimiter. A bucket that allows
    bursts would let nearly twice the rate through in its first window. A rate that is not a whole
    number counts as the whole number below it, since no window holds two and a half starts. A rate
    below one allows one start in ``per / rate`` seconds.

    Args:
        rate: Starts per window.
        per: Length of the window in seconds.

    Returns:
        A policy. All nodes and all runs that are given the same policy object share the limit, as
        long as they are on the same event loop.
    """
    return RateLimit(check_positive_number(rate, "rate"), check_positive_number(per, "per"))


class RateLimit(NodePolicy):
    """The policy that :func:`rate_limit` returns; all nodes that it wraps share its limit."""

    def __init__(self, rate: float, per: float) -> None:
        self.rate = rate
        self.per = per
        self._limiters: PerLoop[AsyncLimiter] = PerLoop()

    def wrap(self, node: NodeLike) -> BaseNode:
        return RateLimitNode(node, self)

    def wait_for_turn(self) -> Coroutine[Any, Any, None]:
        """Wait for the next start."""
        return self._limiters.get(self._make_limiter).acquire()

    def _make_limiter(self) -> AsyncLimiter:
        from aiolimiter import AsyncLimiter

        whole = math.floor(self.rate) if self.rate >= 1 else self.rate
        return AsyncLimiter(1, self.per / whole * _ROUNDING)

    def __repr__(self) -> str:
        return f"rate_limit({self.rate:g}, per={self.per:g})"


class RateLimitNode(PolicyNode):
    """A node that waits for its turn."""

    def __init__(self, node: NodeLike, limit: RateLimit) -> None:
        super().__init__(node)
        self.limit = limit

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        attempt, gives_output = self._bind_attempt(workflow_context)
        wait_for_turn = self.limit.wait_for_turn

        async def attempt_in_turn(value: Any) -> Any:
            await wait_for_turn()
            answer = attempt(value)
            return await answer if type(answer) is CoroutineType else answer

        return Bound(attempt_in_turn, gives_output)
