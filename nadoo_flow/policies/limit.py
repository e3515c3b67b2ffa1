"""The policy ``limit``: all nodes that it wraps share one limit on concurrency."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar

from .._support.checks import describe_value
from ..nodes.context import NodeContext, NodeResult, WorkflowContext
from ..nodes.node import NodeLike
from .adaptive_limit import AdaptiveLimit
from .concurrency_limit import ConcurrencyLimit
from .signals import is_overload
from .wrapper import FunctionPolicy, NodePolicy, PolicyNode


def limit(shared: ConcurrencyLimit) -> NodePolicy:
    """Execute a node only while it holds a permit of a limit that others may share.

    A nesting holds one permit: a node inside the limited one that asks the same limit works with
    the permit of the outer one, which waits. So no nesting can deadlock, and the limit is exact
    over all.

    Args:
        shared: A ConcurrencyLimit or an AdaptiveLimit.
    """
    if not isinstance(shared, ConcurrencyLimit):
        raise TypeError(
            f"shared must be a ConcurrencyLimit or an AdaptiveLimit, got {describe_value(shared)}"
        )
    text = f"limit({shared!r})"
    if isinstance(shared, AdaptiveLimit):
        return FunctionPolicy(lambda node: AdaptiveLimitNode(node, shared), text)
    return FunctionPolicy(lambda node: LimitNode(node, shared), text)


class LimitNode(PolicyNode):
    """A node that executes only while it holds a permit."""

    def __init__(self, node: NodeLike, shared: ConcurrencyLimit) -> None:
        super().__init__(node)
        self.shared = shared

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Take a permit, execute the node, and give the permit back."""
        around = _innermost.get()
        lender = self.shared if around is None else around.find_lender(self.shared)
        await lender.acquire()
        hold = _Hold(self.shared, lender, around)
        token = _innermost.set(hold)
        try:
            return await self.attempt(node_context, workflow_context)
        finally:
            _innermost.reset(token)
            hold.end()


class AdaptiveLimitNode(LimitNode):
    """A node that reports each execution to its limit."""

    def __init__(self, node: NodeLike, shared: AdaptiveLimit) -> None:
        super().__init__(node, shared)
        self._observe = shared._observe

    async def attempt(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Execute the node once, and report its duration and any overload to the limit.

        If nodes inside worked with the permit, they report instead.
        """
        hold = _innermost.get()
        time = asyncio.get_running_loop().time
        started = time()
        result = await super().attempt(node_context, workflow_context)
        if hold is not None and not hold.was_lent:
            self._observe(time() - started, is_overload(result), result.success)
        return result


class _Hold:
    """A permit that a node holds, and lends to the nodes inside it that ask for the same limit.

    One of them works with the holder's own permit, the others ask the limit for more. While any of
    them works or waits, one permit stays inside: a node that gives it back passes it on to the next
    one that waits, or to the holder. So no holder ever has to wait for its own permit.
    """

    __slots__ = ("_ended", "_lender", "_outer", "_shared", "_waiters", "_working", "was_lent")

    def __init__(
        self, shared: ConcurrencyLimit, lender: ConcurrencyLimit | _Hold, outer: _Hold | None
    ) -> None:
        self._shared = shared
        self._lender = lender
        self._outer = outer
        self._working = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._ended = False
        self.was_lent = False

    def find_lender(self, shared: ConcurrencyLimit) -> ConcurrencyLimit | _Hold:
        """Return the lender of permits of a limit here: its innermost hold, or the limit itself."""
        hold: _Hold | None = self
        while hold is not None and (hold._shared is not shared or hold._ended):
            hold = hold._outer
        return shared if hold is None else hold

    async def acquire(self) -> None:
        """Get a permit for a node inside: the holder's own if it is free, or one more."""
        self.was_lent = True
        if (self._working or self._find_waiter()) and not self._shared._take():
            waiter = self._shared._queue()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.cancelled():
                    self._shared._leave(waiter)
                else:
                    self._waiters.remove(waiter)
                    self._pass_on()
                raise
            self._waiters.remove(waiter)
        self._working += 1

    def release(self) -> None:
        """Give back the permit of a node inside."""
        self._working -= 1
        self._pass_on()

    def end(self) -> None:
        """Give back the holder's own permit."""
        self._ended = True
        if not self._working and not self._find_waiter():
            self._lender.release()

    def _pass_on(self) -> None:
        waiter = self._find_waiter()
        if self._working or (waiter is not None and waiter.done()):
            self._shared.release()
        elif waiter is not None:
            self._shared._leave(waiter)
            waiter.set_result(None)
        elif self._ended:
            self._lender.release()

    def _find_waiter(self) -> asyncio.Future[None] | None:
        while self._waiters and self._waiters[0].cancelled():
            self._waiters.popleft()
        return self._waiters[0] if self._waiters else None


_innermost: ContextVar[_Hold | None] = ContextVar("nadoo_flow_limit", default=None)
