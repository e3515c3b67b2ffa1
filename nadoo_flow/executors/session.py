"""The use of an executor in one event loop, from the first run that calls it to the last."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial

from ..events import make_carriers
from ..nodes.context import NodeContext, NodeResult, WorkflowContext
from ..nodes.node import BaseNode
from ..streams import find_outermost_run
from .bundle import PackedNode
from .dispatcher import Dispatcher
from .executor_handle import ExecutorHandle
from .wire import pack
from .worker import KEPT_NODES

GRACE = 5.0
"""Seconds that the end of a run waits for workers that are busy with cancelled calls."""

_log = logging.getLogger(__name__)


class Session:
    """Counts the users of an executor, and stops it when the last one has left.

    A user is an outermost run, or a call outside any run.

    Args:
        handle: The executor.
        dispatcher: Passes calls to it.
    """

    def __init__(self, handle: ExecutorHandle, dispatcher: Dispatcher) -> None:
        self._handle = handle
        self._dispatcher = dispatcher
        self._users: set[object] = set()
        # By identity, because a node need not be hashable; while a node is kept here, no other can
        # have its id. Only those used last, because a service may make a node for each request.
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
        call = node_context.input_data, workflow_context, *make_carriers()
        payload = pack(call, "the input")
        return await self._dispatcher.call(self._pack_node(node), payload)

    def _pack_node(self, node: BaseNode) -> PackedNode:
        known = self._nodes.pop(id(node), None) or (node, PackedNode(node))
        self._nodes[id(node)] = known
        if len(self._nodes) > KEPT_NODES:
            self._nodes.popitem(last=False)
        return known[1]

    async def _leave(self, user: object) -> None:
        self._users.discard(user)
        until = asyncio.get_running_loop().time() + GRACE
        try:
            left = await self._dispatcher.finish_cancelled(GRACE)
        finally:
            if not self._users:
                self._nodes.clear()
                self._dispatcher.abandon()
                await self._stop(until)
        if left:
            _log.warning("a worker is still busy with items that were cancelled")

    async def _stop(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._handle.stop()
        except TimeoutError:
            _log.warning("an executor that is shut down is still busy")
