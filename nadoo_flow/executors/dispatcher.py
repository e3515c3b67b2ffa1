"""The dispatcher: bundles the calls of one event loop and delivers their results."""

from __future__ import annotations

import asyncio
import pickle
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from functools import partial
from itertools import count

from ..nodes.context import NodeResult
from .bundle import Bundle, BundleSize, Call, Discard, PackedNode
from .executor_handle import ExecutorHandle
from .in_thread import call_soon
from .losses import (
    SUSPICIOUS,
    count_deaths,
    is_guilty,
    make_executor_lost,
    make_worker_lost,
    split_in_half,
)
from .packed_result import unpack_result
from .worker import Answer, pack_bundle, run_bundle

SMALL = 65_536
"""Bytes of a node that travels with each bundle; a larger one is sent to a worker when it asks."""

_numbers = count()


class Dispatcher:
    """Keeps the lanes of one executor busy with the waiting calls.

    Everything here belongs to the thread of the event loop.

    Args:
        handle: The executor.
        size: Chooses how many calls travel together.
        lanes: Most bundles on the executor at a time.
    """

    def __init__(self, handle: ExecutorHandle, size: BundleSize, lanes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle = handle
        self._size = size
        self._lanes = lanes
        self._waiting: OrderedDict[Call, None] = OrderedDict()
        self._suspects: deque[Sequence[Call]] = deque()
        self._in_work: set[Bundle] = set()
        self._filling_is_scheduled = False
        self._broken = False
        self._starting: asyncio.Task[None] | None = None

    async def call(
        self, node: PackedNode, payload: bytes, discard: Discard | None = None
    ) -> NodeResult:
        """Have a node executed by a worker.

        A call that is cancelled before its bundle has started is not executed.

        Args:
            node: The node.
            payload: Its input and what goes along, pickled.
            discard: Takes a result that comes in spite of a cancel.

        Raises:
            ExecutorLost: If the executor can work no more.
            WorkerLost: If the call kills its workers.
        """
        call = Call(node, payload, discard)
        self._waiting[call] = None
        self._schedule_filling()
        try:
            return await call.future
        except asyncio.CancelledError:
            self._withdraw(call)
            if discard is not None and _has_result(call.future):  # in the same turn of the loop
                discard(call.future.result())
            raise

    async def finish_cancelled(self, seconds: float) -> int:
        """Wait until the executor has finished the bundles whose calls were all cancelled.

        Args:
            seconds: How long to wait at most.

        Returns:
            How many such bundles are left.
        """
        ends: list[asyncio.Future[None]] = [
            bundle.ended for bundle in self._in_work if not bundle.is_wanted
        ]
        if self._starting is not None:
            ends.append(self._starting)
        if not ends:
            return 0
        _, left = await asyncio.wait(ends, timeout=seconds)
        return len(left)

    def abandon(self) -> None:
        """Forget what is on an executor that was made here, because its last user has left."""
        if self._handle.makes_executors:
            # A worker that is stuck must not keep a lane of the next executor.
            self._in_work.clear()
        if self._starting is not None:
            self._starting.cancel()  # an executor that it still makes is shut down at once

    def _withdraw(self, call: Call) -> None:
        self._waiting.pop(call, None)
        bundle = call.bundle
        if bundle is not None:
            bundle.unwanted += 1
            if not bundle.is_wanted and (self._handle.knows_what_runs or not bundle.has_openings):
                bundle.future.cancel()

    def _schedule_filling(self) -> None:
        # Two turns of the loop later, so that calls made until then travel together: a run starts
        # its other lanes when the first one has suspended.
        if not self._filling_is_scheduled:
            self._filling_is_scheduled = True
            self._loop.call_soon(self._loop.call_soon, self._fill_lanes)

    def _fill_lanes(self) -> None:
        self._filling_is_scheduled = False
        if not (self._waiting or self._suspects) or not self._is_ready():
            return
        if self._suspects:
            if not self._in_work:
                self._send(
                    [call for call in self._suspects.popleft() if call.is_wanted], alone=True
                )
            return
        while self._waiting and (free := self._lanes - len(self._in_work)) > 0:
            sent = sum(len(bundle.calls) for bundle in self._in_work)
            number = self._size.choose(len(self._waiting), sent, free)
            self._send([self._waiting.popitem(last=False)[0] for _ in range(number)])

    def _is_ready(self) -> bool:
        if self._handle.executor is not None and not self._broken:
            return True
        # Bundles on a broken executor come back at once, and one of them may have broken it.
        if self._starting is None and not self._in_work:
            self._starting = self._loop.create_task(self._start())
        return False

    async def _start(self) -> None:
        try:
            await self._handle.stop()
            await self._handle.start()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a factory that exits must not take the event loop along
            self._fail(self._waiting, error)
            self._waiting.clear()
            for calls in self._suspects:
                self._fail(calls, error)
            self._suspects.clear()
        finally:
            self._broken = False
            self._starting = None
            self._schedule_filling()

    def _send(self, calls: Sequence[Call], *, alone: bool = False, whole: bool = False) -> None:
        if not calls:
            self._schedule_filling()
            return
        nodes = {call.node for call in calls}
        along = {node.digest: node.data for node in nodes if whole or len(node.data) <= SMALL}
        packed = pack_bundle(along, [(call.node.digest, call.payload) for call in calls])
        future = self._handle.submit(run_bundle, next(_numbers), packed)
        bundle = Bundle(calls, future, alone)
        self._in_work.add(bundle)
        future.add_done_callback(partial(self._bring_back, bundle))

    def _bring_back(self, bundle: Bundle, future: Future[bytes]) -> None:
        # In any thread; the loop of a run that was never closed may be closed before this comes.
        if not call_soon(self._loop, self._on_return, bundle) and bundle.has_openings:
            bundle.discard_results(future)

    def _on_return(self, bundle: Bundle) -> None:
        self._in_work.discard(bundle)
        future = bundle.end()
        self._schedule_filling()
        wanted = [call for call in bundle.calls if call.is_wanted]
        if not wanted and not bundle.has_openings:
            return
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            try:
                answer = Answer(*pickle.loads(future.result()))
            except Exception as unreadable:
                self._fail(wanted, unreadable)
            else:
                self._deliver(bundle, wanted, answer)
        elif self._may_retry(error):
            self._retry(bundle, wanted, error)
        else:
            self._fail(wanted, error)

    def _deliver(self, bundle: Bundle, wanted: Sequence[Call], answer: Answer) -> None:
        if answer.missing:
            self._send(wanted, alone=bundle.alone, whole=True)
            return
        self._size.observe(len(bundle.calls), answer.busy, answer.idle)
        for call, packed in zip(bundle.calls, answer.results, strict=True):
            if not call.is_wanted:
                if call.discard is not None:
                    call.discard(unpack_result(packed))
                continue
            try:
                call.future.set_result(unpack_result(packed))
            except BaseException as error:  # an interrupt is raised where the result is awaited
                call.future.set_exception(error)

    def _may_retry(self, error: BaseException) -> bool:
        if isinstance(error, BrokenExecutor):
            self._broken = self._handle.makes_executors
            return self._broken
        return count_deaths(error) > 0

    def _retry(self, bundle: Bundle, wanted: Sequence[Call], error: BaseException) -> None:
        for call in wanted:
            call.deaths += count_deaths(error)
            if is_guilty(bundle, call):
                call.future.set_exception(make_worker_lost(call, error))
                return
            call.report_retry(error)
        if bundle.alone:
            # A single call is tried alone once more: another one may have killed its worker.
            self._suspects.extendleft(reversed(split_in_half(wanted)))
        elif any(call.deaths >= SUSPICIOUS for call in wanted):
            self._suspects.append(wanted)
        else:
            for call in reversed(wanted):
                self._waiting[call] = None
                self._waiting.move_to_end(call, last=False)

    def _fail(self, calls: Iterable[Call], error: BaseException) -> None:
        known = self._handle.explain(error)
        for call in calls:
            if call.is_wanted:
                call.future.set_exception(make_executor_lost(known))


def _has_result(future: asyncio.Future[NodeResult]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
