"""Brings calls together into chunks, and their results back, in one event loop."""

from __future__ import annotations

import asyncio
import pickle
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from itertools import count

from ..nodes.context import NodeResult
from .chunk import Call, Chunk, ChunkSize, PackedNode
from .engine import Engine
from .in_thread import tell
from .losses import (
    SUSPICIOUS,
    deaths_behind,
    halved,
    is_guilty,
    make_executor_lost,
    worker_lost,
)
from .outcome import unpack_result
from .worker import Answer, pack_chunk, run_chunk

SMALL = 65_536
"""Bytes of a node that travels with each chunk; a larger one is sent to a worker when it asks."""

_numbers = count()


class Dispatcher:
    """Keeps the lanes of one executor busy with the calls that wait.

    Everything here belongs to the thread of the event loop.

    Args:
        engine: The executor.
        size: Says how many calls travel together.
        lanes: Most chunks on the executor at a time.
    """

    def __init__(self, engine: Engine, size: ChunkSize, lanes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._engine = engine
        self._size = size
        self._lanes = lanes
        self._waiting: OrderedDict[Call, None] = OrderedDict()
        self._suspects: deque[Sequence[Call]] = deque()
        self._in_work: set[Chunk] = set()
        self._turn_is_set = False
        self._broken = False
        self._starting: asyncio.Task[None] | None = None

    async def call(self, node: PackedNode, payload: bytes) -> NodeResult:
        """Have a node executed by a worker.

        A call that is cancelled before its chunk has started is not executed.

        Raises:
            ExecutorLost: If the executor can work no more.
            WorkerLost: If the call kills its workers.
        """
        call = Call(node, payload)
        self._waiting[call] = None
        self._set_turn()
        try:
            return await call.future
        except asyncio.CancelledError:
            self._withdraw(call)
            raise

    async def settle(self, seconds: float) -> int:
        """Wait, but not for long, until nothing is on the executor that nobody waits for.

        Returns:
            How many chunks are left.
        """
        ends: list[asyncio.Future[None]] = [
            chunk.ended for chunk in self._in_work if not chunk.is_wanted
        ]
        if self._starting is not None:
            ends.append(self._starting)
        if not ends:
            return 0
        _, left = await asyncio.wait(ends, timeout=seconds)
        return len(left)

    def abandon(self) -> None:
        """Expect nothing more of an executor that is made here, because its last user has left."""
        if self._engine.makes_executors:
            # A worker that is stuck must not keep a lane of the next executor.
            self._in_work.clear()
        if self._starting is not None:
            self._starting.cancel()  # what it has made is shut down when it comes

    def _withdraw(self, call: Call) -> None:
        self._waiting.pop(call, None)
        chunk = call.chunk
        if chunk is not None:
            chunk.unwanted += 1
            if not chunk.is_wanted:
                chunk.future.cancel()

    def _set_turn(self) -> None:
        # Behind all that is about to run, and what that starts, so that the calls they make travel
        # together: a run starts its other lanes when the first has suspended.
        if not self._turn_is_set:
            self._turn_is_set = True
            self._loop.call_soon(self._loop.call_soon, self._turn)

    def _turn(self) -> None:
        self._turn_is_set = False
        if not (self._waiting or self._suspects) or not self._is_ready():
            return
        if self._suspects:
            if not self._in_work:
                self._send([call for call in self._suspects.popleft() if call.wanted], alone=True)
            return
        while self._waiting and (free := self._lanes - len(self._in_work)) > 0:
            number = self._size.of(len(self._waiting), free)
            self._send([self._waiting.popitem(last=False)[0] for _ in range(number)])

    def _is_ready(self) -> bool:
        if self._engine.executor is not None and not self._broken:
            return True
        # What is still on a broken executor comes back at once, and may be what broke it.
        if self._starting is None and not self._in_work:
            self._starting = self._loop.create_task(self._start())
        return False

    async def _start(self) -> None:
        try:
            await self._engine.stop()
            await self._engine.start()
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
            self._set_turn()

    def _send(self, calls: Sequence[Call], *, alone: bool = False, whole: bool = False) -> None:
        if not calls:
            self._set_turn()
            return
        nodes = {call.node for call in calls}
        along = {node.digest: node.data for node in nodes if whole or len(node.data) <= SMALL}
        packed = pack_chunk(along, [(call.node.digest, call.payload) for call in calls])
        future = self._engine.submit(run_chunk, next(_numbers), packed)
        chunk = Chunk(calls, future, alone)
        self._in_work.add(chunk)
        future.add_done_callback(lambda _: tell(self._loop, self._returned, chunk))

    def _returned(self, chunk: Chunk) -> None:
        self._in_work.discard(chunk)
        future = chunk.end()
        self._set_turn()
        wanted = [call for call in chunk.calls if call.wanted]
        if not wanted:
            return
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            try:
                answer = Answer(*pickle.loads(future.result()))
            except Exception as unreadable:
                self._fail(wanted, unreadable)
            else:
                self._deliver(chunk, wanted, answer)
        elif self._may_retry(error):
            self._retry(chunk, wanted, error)
        else:
            self._fail(wanted, error)

    def _deliver(self, chunk: Chunk, wanted: Sequence[Call], answer: Answer) -> None:
        if answer.missing:
            self._send(wanted, alone=chunk.alone, whole=True)
            return
        self._size.observed(len(chunk.calls), answer.seconds)
        for call, outcome in zip(chunk.calls, answer.outcomes, strict=True):
            if call.wanted:
                call.future.set_result(unpack_result(outcome))

    def _may_retry(self, error: BaseException) -> bool:
        if isinstance(error, BrokenExecutor):
            self._broken = self._engine.makes_executors
            return self._broken
        return deaths_behind(error) > 0

    def _retry(self, chunk: Chunk, wanted: Sequence[Call], error: BaseException) -> None:
        for call in wanted:
            call.deaths += deaths_behind(error)
            if is_guilty(chunk, call):
                call.future.set_exception(worker_lost(call, error))
                return
            call.tell_of_retry(error)
        if chunk.alone:
            # As many as before, if it was one: it may still have been another's fault.
            self._suspects.extendleft(reversed(halved(wanted)))
        elif any(call.deaths >= SUSPICIOUS for call in wanted):
            self._suspects.append(wanted)
        else:
            for call in reversed(wanted):
                self._waiting[call] = None
                self._waiting.move_to_end(call, last=False)

    def _fail(self, calls: Iterable[Call], error: BaseException) -> None:
        known = self._engine.explain(error)
        for call in calls:
            if call.wanted:
                call.future.set_exception(make_executor_lost(known))
