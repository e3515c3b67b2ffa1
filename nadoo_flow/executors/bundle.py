"""Bundles: calls that travel to an executor together, and how many of them do."""

from __future__ import annotations

import asyncio
import math
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from hashlib import blake2b
from typing import TypeAlias

from ..errors import describe_error
from ..events.item import report_retry
from ..nodes.context import NodeResult
from ..nodes.node import BaseNode
from .packed_result import unpack_result
from .wire import pack
from .worker import Answer, Digest

BUNDLE_SECONDS = 0.05
"""Work in a bundle: enough to make the way there and back negligible, and no more."""

LEAST_SECONDS = 0.001
"""Work that travels together although lanes are free: the way there and back costs a quarter."""

Discard: TypeAlias = Callable[[NodeResult], None]


class PackedNode:
    """A node as bytes.

    Attributes:
        data: The node, pickled.
        digest: Identifies the node in a worker.
    """

    __slots__ = ("data", "digest")

    def __init__(self, node: BaseNode) -> None:
        self.data = pack(node, f"the node {node.node_id!r}")
        self.digest: Digest = blake2b(self.data, digest_size=16).digest()


class Call:
    """One requested execution of a node.

    Attributes:
        node: The node.
        payload: Its input, its WorkflowContext and maybe a Carrier, pickled.
        future: Its result.
        bundle: The bundle in which it is on the executor; None before and afterwards.
        deaths: How many workers died while they had it.
        discard: Called with a result that comes when its caller waits for it no more, if that
            holds something which has to be given back.
    """

    __slots__ = ("_context", "bundle", "deaths", "discard", "future", "node", "payload")

    def __init__(self, node: PackedNode, payload: bytes, discard: Discard | None = None) -> None:
        self.node = node
        self.payload = payload
        self.discard = discard
        self.future: asyncio.Future[NodeResult] = asyncio.get_running_loop().create_future()
        self.bundle: Bundle | None = None
        self.deaths = 0
        self._context = copy_context()

    @property
    def is_wanted(self) -> bool:
        """Whether its caller still waits for it."""
        return not self.future.done()

    def report_retry(self, error: BaseException) -> None:
        """Report to the observers of its item that it is tried again."""
        self._context.run(report_retry, describe_error(error))


class Bundle:
    """Calls that are on the executor together.

    Attributes:
        calls: At least one.
        alone: Whether nothing else is on the executor, to find the call that kills workers.
        future: The executor's future for it.
        ended: Done when it is no longer on the executor.
        unwanted: How many of its calls were cancelled.
        has_openings: Whether a result may hold something which has to be given back.
    """

    __slots__ = ("alone", "calls", "ended", "future", "has_openings", "unwanted")

    def __init__(self, calls: Sequence[Call], future: Future[bytes], alone: bool) -> None:
        self.calls = calls
        self.alone = alone
        self.future = future
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.unwanted = 0
        self.has_openings = any(call.discard is not None for call in calls)
        for call in calls:
            call.bundle = self

    @property
    def is_wanted(self) -> bool:
        """Whether the caller of one of its calls still waits."""
        return self.unwanted < len(self.calls)

    def end(self) -> Future[bytes]:
        """Note that it is no longer on the executor, and hand over the executor's future.

        Dask keeps the result for as long as there is a reference to that future.
        """
        for call in self.calls:
            call.bundle = None
        self.ended.set_result(None)
        future = self.future
        del self.future
        return future

    def discard_results(self, future: Future[bytes]) -> None:
        """Give back what its results hold, because they cannot be delivered."""
        if future.cancelled() or future.exception() is not None:
            return
        answer = Answer(*pickle.loads(future.result()))
        for call, packed in zip(self.calls, answer.results, strict=not answer.missing):
            if call.discard is not None:
                call.discard(unpack_result(packed))


class BundleSize:
    """Chooses how many calls travel together.

    Args:
        fixed: As many as this, or all that wait if they are fewer. With None it divides the calls
            over the lanes, but puts together what makes LEAST_SECONDS of work, and no more than
            what makes BUNDLE_SECONDS.
        lanes: Most bundles on the executor at a time.
    """

    def __init__(self, fixed: int | None, lanes: int) -> None:
        self._fixed = fixed
        self._lanes = lanes
        self._seconds_per_call: float | None = None
        self._is_mostly_idle = False

    def choose(self, waiting: int, sent: int, free_lanes: int) -> int:
        """Return how many of the waiting calls go into the next bundle.

        Args:
            waiting: How many wait.
            sent: How many are on the executor.
            free_lanes: How many more bundles may go there.
        """
        if self._fixed is not None:
            return min(self._fixed, waiting)
        if self._seconds_per_call is None:
            return 1
        enough = max(1, int(BUNDLE_SECONDS / self._seconds_per_call))
        share = math.ceil(waiting / free_lanes)
        if not self._is_mostly_idle:
            # If the first lane that is free took all that wait, its worker would have everything
            # to do, and the other lanes would carry few calls for the rest of the run.
            share = min(share, math.ceil((waiting + sent) / self._lanes))
        least = math.ceil(LEAST_SECONDS / self._seconds_per_call)
        return min(max(share, least), enough, waiting)

    def observe(self, calls: int, busy: float, idle: float) -> None:
        """Take into account for how many seconds a worker was busy with a bundle, and idle."""
        latest = max(busy / calls, 1e-6)
        known = self._seconds_per_call
        self._seconds_per_call = latest if known is None else (known + latest) / 2
        self._is_mostly_idle = idle > busy
