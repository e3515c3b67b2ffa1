"""Calls that travel together, and how many of them do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import Future
from contextvars import copy_context
from hashlib import blake2b

from ..errors import describe_error
from ..events.event import report_retry
from ..nodes.context import NodeResult
from ..nodes.node import BaseNode
from .wire import pack
from .worker import Digest

CHUNK_SECONDS = 0.05
"""Work in a chunk: so much that the way there and back does not count, and no more."""


class PackedNode:
    """A node as bytes.

    Attributes:
        data: The node, packed.
        digest: What a worker knows it by.
    """

    __slots__ = ("data", "digest")

    def __init__(self, node: BaseNode) -> None:
        self.data = pack(node, f"the node {node.node_id!r}")
        self.digest: Digest = blake2b(self.data, digest_size=16).digest()


class Call:
    """One execution of a node, from the moment it is asked for.

    Attributes:
        node: Which node.
        payload: Its input and WorkflowContext, packed.
        future: Its result.
        chunk: What it travels in, since it does.
        deaths: How many deaths of workers it had to do with.
    """

    __slots__ = ("_context", "chunk", "deaths", "future", "node", "payload")

    def __init__(self, node: PackedNode, payload: bytes) -> None:
        self.node = node
        self.payload = payload
        self.future: asyncio.Future[NodeResult] = asyncio.get_running_loop().create_future()
        self.chunk: Chunk | None = None
        self.deaths = 0
        self._context = copy_context()

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.future.done()

    def tell_of_retry(self, error: BaseException) -> None:
        """Tell whoever watches its item that it is tried again."""
        self._context.run(report_retry, describe_error(error))


class Chunk:
    """Calls that are on the executor together.

    Attributes:
        calls: At least one.
        alone: Whether nothing else is on the executor, to find out who kills workers.
        future: What the executor gave for it.
        ended: Done when it is on the executor no more.
        unwanted: How many of its calls nobody waits for any more.
    """

    __slots__ = ("alone", "calls", "ended", "future", "unwanted")

    def __init__(self, calls: Sequence[Call], future: Future[bytes], alone: bool) -> None:
        self.calls = calls
        self.alone = alone
        self.future = future
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.unwanted = 0
        for call in calls:
            call.chunk = self

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for one of its calls."""
        return self.unwanted < len(self.calls)

    def end(self) -> Future[bytes]:
        """Learn that it is on the executor no more, and hand over what the executor gave for it.

        Dask keeps the result for as long as anybody holds that.
        """
        for call in self.calls:
            call.chunk = None
        self.ended.set_result(None)
        future = self.future
        del self.future
        return future


class ChunkSize:
    """How many calls travel together.

    Args:
        fixed: As many as this, or all that wait if they are fewer. With None it finds the number
            that makes CHUNK_SECONDS of work, and shares out what waits over the free lanes.
    """

    def __init__(self, fixed: int | None) -> None:
        self._fixed = fixed
        self._seconds_per_call: float | None = None

    def of(self, waiting: int, free_lanes: int) -> int:
        """Say how many of the calls that wait go into the next chunk."""
        if self._fixed is not None:
            return min(self._fixed, waiting)
        if self._seconds_per_call is None:
            return 1
        enough = max(1, int(CHUNK_SECONDS / self._seconds_per_call))
        return min(enough, math.ceil(waiting / free_lanes))

    def observed(self, calls: int, seconds: float) -> None:
        """Learn how long a worker was busy with a chunk."""
        latest = max(seconds / calls, 1e-6)
        known = self._seconds_per_call
        self._seconds_per_call = latest if known is None else (known + latest) / 2
