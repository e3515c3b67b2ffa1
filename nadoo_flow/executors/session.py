"""The use of an executor in one event loop, from the first run that calls it to the last."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial

from ..nodes.context import NodeContext, NodeResult, WorkflowContext
from ..nodes.node import BaseNode
from ..streams import find_outermost_run
from .chunk import PackedNode
from .dispatcher import Dispatcher
from .engine import Engine
from .wire import pack
from .worker import KEPT_NODES

GRACE = 5.0
"""Seconds that the end of a run waits for a worker that is busy with what nobody wants."""

_log = logging.getLogger(__name__)


class Session:
    """Knows who uses an executor, and ends what they leave behind.

    A user is a run, with all runs inside it, or a call outside any run.

    Args:
        engine: The executor, which is stopped when its last user leaves.
        dispatcher: Gives it the calls.
    """

    def __init__(self, engine: Engine, dispatcher: Dispatcher) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._users: set[object] = set()
        # By identity, because a node need not be hashable; while a node is kept here, no other can
        # have its id. The last used ones, because a service may make a node for each request.
        self._nodes: OrderedDict[int, tuple[BaseNode, PackedNode]] = OrderedDict()

    async def execute(
        self, node: BaseNode, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Execute a node in a worker."""
        run = find_outermost_run()
        if run is not None:
            if run not in self._users:
                self._users.add(run)
                run.add_cleanup(partial(self._leave, run))
            return await self._call(node, node_context, workflow_context)
        user = object()
        self._users.add(user)
        try:
            return await self._call(node, node_context, workflow_context)
        finally:
            await self._leave(user)

    async def _call(
        self, node: BaseNode, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        payload = pack((node_context.input_data, workflow_context), "the input")
        return await self._dispatcher.call(self._packed(node), payload)

    def _packed(self, node: BaseNode) -> PackedNode:
        known = self._nodes.pop(id(node), None) or (node, PackedNode(node))
        self._nodes[id(node)] = known
        if len(self._nodes) > KEPT_NODES:
            self._nodes.popitem(last=False)
        return known[1]

    async def _leave(self, user: object) -> None:
        self._users.discard(user)
        until = asyncio.get_running_loop().time() + GRACE
        try:
            left = await self._dispatcher.settle(GRACE)
        finally:
            if not self._users:
                self._nodes.clear()
                self._dispatcher.abandon()
                await self._stop(until)
        if left:
            _log.warning("a worker is still busy with items that nobody waits for any more")

    async def _stop(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._engine.stop()
        except TimeoutError:
            _log.warning("an executor that is shut down is still busy")
