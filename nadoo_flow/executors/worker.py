"""The worker: runs the calls of a bundle concurrently on the event loop of its thread."""

from __future__ import annotations

import asyncio
import logging
import pickle
import selectors
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from pickle import UnpicklingError
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakSet

from .._support.tasks import start_owned
from ..nodes.context import NodeResult
from ..nodes.execution import answer_safely, as_result, describe_failure, make_item_failure
from ..nodes.node import BaseNode
from .packed_result import PackedResult, pack_result
from .wire import unpack

PATIENCE = 5.0
"""Seconds that a task which a node has left behind may take to end."""

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
        self._stubborn: WeakSet[asyncio.Task[Any]] = WeakSet()

    def run(self, calls: Sequence[tuple[BaseNode | UnpicklingError, bytes]]) -> Answer:
        started, idle = perf_counter(), self._selector.idle
        results: list[PackedResult | None] = [None] * len(calls)
        try:
            self._runner.run(_run_all(calls, results, self._stubborn))
        except BaseException as error:  # Ctrl-C, or an exception of a task that a node started
            interrupted = pack_result(describe_failure(error))
            done = [interrupted if result is None else result for result in results]
            self._runner.run(_cancel_leftovers(self._stubborn))
        else:
            done = [result for result in results if result is not None]
        return Answer((), done, perf_counter() - started - (self._selector.idle - idle))

    def __del__(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            # A runner would wait for these tasks for ever.
            can_run = all(task.done() for task in self._stubborn)
        else:  # the garbage collector runs in any thread, and no loop can run inside another
            can_run = False
        if can_run:
            self._runner.close()
        else:
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
    calls: Sequence[tuple[BaseNode | UnpicklingError, bytes]],
    results: list[PackedResult | None],
    stubborn: WeakSet[asyncio.Task[Any]],
) -> None:
    async def run(place: int, node: BaseNode | UnpicklingError, payload: bytes) -> None:
        results[place] = pack_result(await _execute(node, payload))

    tasks = [start_owned(partial(run, place, *call)) for place, call in enumerate(calls)]
    await asyncio.wait(tasks)
    for place, task in enumerate(tasks):
        if results[place] is None:  # another node has cancelled it before it began
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            assert error is not None
            results[place] = pack_result(describe_failure(error))
    await _cancel_leftovers(stubborn)


async def _execute(node: BaseNode | UnpicklingError, payload: bytes) -> NodeResult:
    try:
        if isinstance(node, UnpicklingError):
            raise node
        input_data, workflow_context, *carriers = unpack(payload, "the input")
        for carrier in carriers:
            carrier.attach()
        bound = node._bind(workflow_context)
        return as_result(await answer_safely(bound, input_data, make_item_failure))
    except BaseException as error:
        # A KeyboardInterrupt of the node is not one of the caller. A cancellation comes from
        # another node, or from an interrupt, after which this result does not count.
        return describe_failure(error)


async def _cancel_leftovers(stubborn: WeakSet[asyncio.Task[Any]]) -> None:
    """Cancel the tasks that nodes have left behind, and await those that end when cancelled."""
    leftovers = asyncio.all_tasks() - {asyncio.current_task(), *stubborn}
    if not leftovers:
        return
    for task in leftovers:
        task.cancel()
    ended, left = await asyncio.wait(leftovers, timeout=PATIENCE)
    for task in ended:
        if not task.cancelled():
            task.exception()  # or asyncio would log it as never looked at
    if left:
        stubborn.update(left)
        _log.warning("a task that a node has left behind goes on after it was cancelled")


_log = logging.getLogger(__name__)
_here = _Thread()
