"""The worker: runs the calls of a bundle concurrently on the event loop of its thread."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from pickle import UnpicklingError
from time import perf_counter
from typing import NamedTuple, TypeAlias

from .._support.tasks import start_owned
from ..nodes.context import NodeResult
from ..nodes.execution import answer_safely, as_result, describe_failure, make_item_failure
from ..nodes.many import ManyInput
from ..nodes.node import BaseNode
from ..streams import Outlet
from .packed_input import unpack_input
from .packed_result import PackedResult, pack_result
from .wire import unpack
from .worker_loop import WorkerLoop

KEPT_NODES = 16
"""Nodes that a worker keeps; it forgets the least recently used one."""

Digest: TypeAlias = bytes
PackedCall: TypeAlias = tuple[Digest, bytes]
"""The digest of a node; its input, its WorkflowContext and maybe a Carrier, pickled."""


class Answer(NamedTuple):
    """The answer of a worker to a bundle.

    Attributes:
        missing: Nodes that the worker needs before it can run the bundle.
        results: One for each call.
        busy: Seconds that the worker worked on it.
        idle: Seconds that its event loop waited meanwhile.
    """

    missing: Sequence[Digest]
    results: Sequence[PackedResult] = ()
    busy: float = 0.0
    idle: float = 0.0


def pack_bundle(nodes: Mapping[Digest, bytes], calls: Sequence[PackedCall]) -> bytes:
    """Pickle the argument of :func:`run_bundle`.

    Args:
        nodes: The nodes that travel along.
        calls: At least one call.
    """
    return pickle.dumps((dict(nodes), list(calls)))


def run_bundle(number: int, bundle: bytes) -> bytes:
    """Execute the calls of a bundle and return a pickled :class:`Answer`, as a tuple.

    Args:
        number: Differs between all bundles, so that no executor takes two for one.
        bundle: Made by :func:`pack_bundle`.
    """
    nodes, calls = pickle.loads(bundle)
    here = _here
    known = here.nodes
    missing = [
        digest
        for digest in {digest for digest, _ in calls}
        if not known.ensure_known(digest, nodes)
    ]
    answer = Answer(missing) if missing else here.run(calls)
    return pickle.dumps(tuple(answer))


def confirm_start() -> None:
    """Do nothing: a call of this shows that a worker has started and can import this module."""


class KnownNodes:
    """The nodes that live in one thread of a worker."""

    def __init__(self) -> None:
        self._nodes: OrderedDict[Digest, BaseNode | UnpicklingError] = OrderedDict()

    def ensure_known(self, digest: Digest, nodes: Mapping[Digest, bytes]) -> bool:
        """Return whether a node is known, or is now, because it is among those that came along."""
        if digest in self._nodes:
            self._nodes.move_to_end(digest)
        elif digest in nodes:
            try:
                self._nodes[digest] = unpack(nodes[digest], "the node")
            except UnpicklingError as error:
                self._nodes[digest] = error
        return digest in self._nodes

    def get(self, digest: Digest) -> BaseNode | UnpicklingError:
        """Return a node that is known, or the error with which it was unpickled."""
        return self._nodes[digest]

    def forget_oldest(self) -> None:
        """Keep those that were used last."""
        while len(self._nodes) > KEPT_NODES:
            self._nodes.popitem(last=False)


class _Thread(threading.local):
    """The state of each thread of a worker: an event loop, and nodes that live on it."""

    def __init__(self) -> None:
        self._loop = WorkerLoop()
        self.nodes = KnownNodes()

    def run(self, calls: Sequence[PackedCall]) -> Answer:
        packed = [(self.nodes.get(digest), payload) for digest, payload in calls]
        self.nodes.forget_oldest()
        return self._run(packed)

    def _run(self, calls: Sequence[tuple[BaseNode | UnpicklingError, bytes]]) -> Answer:
        loop, started, idle = self._loop, perf_counter(), self._loop.idle
        results: list[PackedResult | None] = [None] * len(calls)
        try:
            loop.run(_run_all(loop, calls, results))
        except BaseException as error:  # Ctrl-C, or an exception of a task that a node started
            interrupted = pack_result(describe_failure(error))
            done = [interrupted if result is None else result for result in results]
            loop.run(loop.cancel_leftovers())
        else:
            done = [result for result in results if result is not None]
        waited = loop.idle - idle
        return Answer((), done, perf_counter() - started - waited, waited)


async def _run_all(
    loop: WorkerLoop,
    calls: Sequence[tuple[BaseNode | UnpicklingError, bytes]],
    results: list[PackedResult | None],
) -> None:
    async def run(place: int, node: BaseNode | UnpicklingError, payload: bytes) -> None:
        results[place] = pack_result(await execute_packed(node, payload))

    tasks = [start_owned(partial(run, place, *call)) for place, call in enumerate(calls)]
    await asyncio.wait(tasks)
    for place, task in enumerate(tasks):
        if results[place] is None:  # another node has cancelled it before it began
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            assert error is not None
            results[place] = pack_result(describe_failure(error))
    await loop.cancel_leftovers()


async def execute_packed(
    node: BaseNode | UnpicklingError, payload: bytes, outlet: Outlet | None = None
) -> NodeResult:
    """Execute a node on a pickled input; with an outlet, its outputs go there one by one."""
    try:
        if isinstance(node, UnpicklingError):
            raise node
        value, workflow_context, carriers = unpack_input(payload)
        for carrier in carriers:
            carrier.attach()
        if outlet is None:
            bound = node._bind(workflow_context)
        else:
            bound = node._bind_many(workflow_context)
            value = ManyInput(value, outlet)
        return as_result(await answer_safely(bound, value, make_item_failure))
    except BaseException as error:
        # A KeyboardInterrupt of the node is not one of the caller. A cancellation comes from
        # another node, or from an interrupt, after which this result does not count.
        return describe_failure(error)


_here = _Thread()
