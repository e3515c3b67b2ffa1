"""The use of an executor in one event loop, from the first run that calls it to the last."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ..events import make_carriers
from ..nodes.context import NodeResult, WorkflowContext
from ..nodes.many import ManyInput
from ..nodes.node import BaseNode
from ..streams import find_outermost_run
from .bundle import PackedNode
from .dispatcher import Dispatcher
from .executor_handle import ExecutorHandle
from .opening import OpeningNode
from .packed_input import pack_input
from .pulling import Puller
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
        chunk: Outputs of a generator that travel together; None for as many as are found right.
    """

    def __init__(self, handle: ExecutorHandle, dispatcher: Dispatcher, chunk: int | None) -> None:
        self._handle = handle
        self._dispatcher = dispatcher
        self._users: set[object] = set()
        # By identity, because a node need not be hashable; while a node is kept here, no other can
        # have its id. Only those used last, because a service may make a node for each request.
        self._nodes: OrderedDict[tuple[int, bool], tuple[BaseNode, PackedNode]] = OrderedDict()
        self._puller = Puller(handle, dispatcher, chunk)

    def execute(
        self, node: BaseNode, value: Any, workflow_context: WorkflowContext
    ) -> Coroutine[Any, Any, NodeResult]:
        """Execute a node in a worker."""
        payload = pack_input(value, workflow_context, make_carriers())
        return self._use(lambda: self._dispatcher.call(self._pack_node(node), payload))

    def pull(
        self, node: BaseNode, many_input: ManyInput, workflow_context: WorkflowContext
    ) -> Coroutine[Any, Any, NodeResult]:
        """Run the generator of a node in a worker, and give its outputs to the outlet."""
        payload = pack_input(many_input.value, workflow_context, make_carriers())
        return self._use(
            lambda: self._puller.pull(self._pack_opening(node), payload, many_input.outlet)
        )

    def _use(
        self, call: Callable[[], Coroutine[Any, Any, NodeResult]]
    ) -> Coroutine[Any, Any, NodeResult]:
        run = find_outermost_run()
        if run is None:
            return self._use_once(call)
        if run not in self._users:
            self._users.add(run)
            run.add_cleanup(partial(self._leave, run))
        return call()

    async def _use_once(self, call: Callable[[], Coroutine[Any, Any, NodeResult]]) -> NodeResult:
        user = object()
        self._users.add(user)
        try:
            return await call()
        finally:
            await self._leave(user)

    def _pack_node(self, node: BaseNode) -> PackedNode:
        return self._keep((id(node), False), node, lambda: PackedNode(node))

    def _pack_opening(self, node: BaseNode) -> PackedNode:
        def pack_opening() -> PackedNode:
            packed = self._pack_node(node)
            return PackedNode(OpeningNode(node.node_id, packed.digest, packed.data))

        return self._keep((id(node), True), node, pack_opening)

    def _keep(
        self, key: tuple[int, bool], node: BaseNode, make: Callable[[], PackedNode]
    ) -> PackedNode:
        known = self._nodes.pop(key, None) or (node, make())
        self._nodes[key] = known
        if len(self._nodes) > KEPT_NODES:
            self._nodes.popitem(last=False)
        return known[1]

    async def _leave(self, user: object) -> None:
        self._users.discard(user)
        until = asyncio.get_running_loop().time() + GRACE
        try:
            left = await self._dispatcher.finish_cancelled(GRACE)
            await self._puller.finish_closing(until)
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
