"""limit: one limit on concurrency, shared by whatever it is applied to."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from ..checks import shown
from ..context import NodeContext, NodeResult, WorkflowContext
from ..node import BaseNode, Policy
from .limits import AdaptiveLimit, ConcurrencyLimit
from .signals import is_overload
from .wrapper import PolicyNode


def limit(shared: ConcurrencyLimit) -> Policy:
    """Execute a node only while it holds a permit of a limit that others may share.

    A permit is held around the work itself and not around a nesting of it: while a node inside the
    limited one asks the same limit, the outer one lends its permit back. So no nesting can
    deadlock, and the limit is exact over all.

    Args:
        shared: A ConcurrencyLimit or an AdaptiveLimit.
    """
    if not isinstance(shared, ConcurrencyLimit):
        raise TypeError(
            f"shared must be a ConcurrencyLimit or an AdaptiveLimit, got {shown(shared)}"
        )
    if isinstance(shared, AdaptiveLimit):
        return lambda node: AdaptiveLimitNode(node, shared)
    return lambda node: LimitNode(node, shared)


class LimitNode(PolicyNode):
    """A node that executes only while it holds a permit."""

    def __init__(self, node: BaseNode, shared: ConcurrencyLimit) -> None:
        super().__init__(node)
        self.shared = shared

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Take a permit, execute the node, and give the permit back."""
        around = _innermost.get()
        outer = None if around is None else around.of(self.shared)
        if outer is not None:
            outer.lend()
        try:
            await self.shared.acquire()
            hold = _Hold(self.shared, around)
            token = _innermost.set(hold)
            try:
                return await self.attempt(node_context, workflow_context)
            finally:
                _innermost.reset(token)
                hold.end()
        finally:
            if outer is not None:
                await outer.take_back()


class AdaptiveLimitNode(LimitNode):
    """A node whose executions tell its limit how they went."""

    def __init__(self, node: BaseNode, shared: AdaptiveLimit) -> None:
        super().__init__(node, shared)
        self._observed = shared.observed

    async def attempt(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Execute the node once, and tell how long it took and whether it was too much."""
        time = asyncio.get_running_loop().time
        started = time()
        result = await super().attempt(node_context, workflow_context)
        self._observed(time() - started, is_overload(result))
        return result


class _Hold:
    """A permit that its holder lends to the nodes inside it while they ask for the same limit."""

    __slots__ = ("_borrowers", "_ended", "_held", "outer", "shared")

    def __init__(self, shared: ConcurrencyLimit, outer: _Hold | None) -> None:
        self.shared = shared
        self.outer = outer
        self._borrowers = 0
        self._held = True
        self._ended = False

    def of(self, shared: ConcurrencyLimit) -> _Hold | None:
        """Find the innermost hold of a limit, from this one outwards."""
        hold: _Hold | None = self
        while hold is not None and hold.shared is not shared:
            hold = hold.outer
        return hold

    def lend(self) -> None:
        """Give the permit back while a node inside takes part in the limit by itself."""
        self._borrowers += 1
        self._give_back()

    async def take_back(self) -> None:
        """Take a permit again when no node inside asks for one any more."""
        self._borrowers -= 1
        if self._borrowers or self._ended:
            return
        await self.shared.acquire()
        # While this waited, another node inside may have begun, or have taken the permit back.
        if self._borrowers or self._held or self._ended:
            self.shared.release()
        else:
            self._held = True

    def end(self) -> None:
        """Give the permit back for good."""
        self._ended = True
        self._give_back()

    def _give_back(self) -> None:
        if self._held:
            self._held = False
            self.shared.release()


_innermost: ContextVar[_Hold | None] = ContextVar("nadoo_flow_limit", default=None)
