"""The worker: runs the calls of a bundle concurrently on the event loop of its thread."""

from __future__ import annotations

import asyncio
import pickle
import selectors
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pickle import UnpicklingError
from time import perf_counter
from typing import NamedTuple, TypeAlias

from ..errors import describe_error
from ..nodes.context import NodeContext, NodeResult
from ..nodes.execution import execute_safely
from ..nodes.node import BaseNode
from .packed_result import PackedResult, pack_result
from .wire import unpack

KEPT_NODES = 16
"""Nodes that a worker keeps; it forgets the least recently used one."""

Digest: TypeAlias = bytes
PackedCall: TypeAlias = tuple[Digest, bytes]
"""The digest of a node, and its input and WorkflowContext, pickled."""


class Answer(NamedTuple):
    """The answer of a worker to a bundle.

    Attributes:
        missing: Nodes that the worker needs before it can run the bundle.
        results: One for each call.
        seconds: How long the worker was busy with it, without the time its event loop waited.
    """

    missing: Sequence[Digest]
    results: Sequence[PackedResult] = ()
    seconds: float = 0.0


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
    missing = [
        digest for digest in {digest for digest, _ in calls} if not here.ensure_known(digest, nodes)
    ]
    answer = Answer(missing) if missing else here.run(calls)
    return pickle.dumps(tuple(answer))


def confirm_start() -> None:
    """Do nothing: a call of this shows that a worker has started and can import this module."""


class _Thread(threading.local):
    """The state of each thread of a worker: an event loop, and nodes that live on it."""

    def __init__(self) -> None:
        self._loop = _Loop()
        self._nodes: OrderedDict[Digest, BaseNode | UnpicklingError] = OrderedDict()

    def ensure_known(self, digest: Digest, nodes: Mapping[Digest, bytes]) -> bool:
        if digest in self._nodes:
            self._nodes.move_to_end(digest)
        elif digest in nodes:
            try:
                self._nodes[digest] = unpack(nodes[digest], "the node")
            except UnpicklingError as error:
                self._nodes[digest] = error
        return digest in self._nodes

    def run(self, calls: Sequence[PackedCall]) -> Answer:
        packed = [(self._nodes[digest], payload) for digest, payload in calls]
        while len(self._nodes) > KEPT_NODES:
            self._nodes.popitem(last=False)
        return self._loop.run(packed)


class _Loop:
    """An event loop that lasts as long as its thread, so that nodes can keep connections."""

    def __init__(self) -> None:
        self._selector = selector = _Selector()
        # The factory holds no reference to self, so that the loop is closed when its thread ends,
        # and not when the garbage collector runs.
        self._runner = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector))

    def run(self, calls: Sequence[tuple[BaseNode | UnpicklingError, bytes]]) -> Answer:
        started, idle = perf_counter(), self._selector.idle
        results: list[PackedResult | None] = [None] * len(calls)
        try:
            self._runner.run(_run_all(calls, results))
        except BaseException as error:  # Ctrl-C, or an exception of a task that a node started
            interrupted = pack_result(NodeResult(False, None, describe_error(error), {}, error))
            done = [interrupted if result is None else result for result in results]
            self._runner.run(_cancel_leftovers())
        else:
            done = [result for result in results if result is not None]
        return Answer((), done, perf_counter() - started - (self._selector.idle - idle))

    def __del__(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._runner.close()
        else:  # the garbage collector runs in any thread, and no loop can run inside another
            self._runner.get_loop().close()


class _Selector(selectors.DefaultSelector):
    """Adds up how long an event loop waits."""

    idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        started = perf_counter()
        try:
            return super().select(timeout)
        finally:
            self.idle += perf_counter() - started


async def _run_all(
    calls: Sequence[tuple[BaseNode | UnpicklingError, bytes]], results: list[PackedResult | None]
) -> None:
    async def run(place: int, node: BaseNode | UnpicklingError, payload: bytes) -> None:
        results[place] = pack_result(await _execute(node, payload))

    tasks = [asyncio.create_task(run(place, *call)) for place, call in enumerate(calls)]
    await asyncio.gather(*tasks)
    await _cancel_leftovers()


async def _execute(node: BaseNode | UnpicklingError, payload: bytes) -> NodeResult:
    try:
        if isinstance(node, UnpicklingError):
            raise node
        input_data, workflow_context = unpack(payload, "the input")
        return await execute_safely(node.execute, NodeContext(input_data), workflow_context)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # a KeyboardInterrupt of the node is not one of the caller
        return NodeResult(False, None, describe_error(error), {}, error)


async def _cancel_leftovers() -> None:
    """Cancel and await the tasks that nodes have left behind."""
    leftovers = asyncio.all_tasks() - {asyncio.current_task()}
    for task in leftovers:
        task.cancel()
    await asyncio.gather(*leftovers, return_exceptions=True)


_here = _Thread()
