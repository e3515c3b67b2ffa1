"""Pulls the outputs of generators that are in workers, chunk by chunk."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

from .._support.tasks import is_closing
from ..nodes.context import NodeResult, WorkflowContext
from ..streams import Outlet
from .answers import BUSY, Question
from .bundle import PackedNode
from .chunk import Chunk
from .dispatcher import Dispatcher
from .errors import WorkerLost
from .executor_handle import ExecutorHandle
from .host import hosting
from .losses import make_executor_lost
from .opening import Opened, OpeningRequest
from .packed_input import pack_input
from .packed_result import unpack_result
from .place import Place, ask
from .wire import unpack_outputs

FETCHING_SECONDS = 0.25
"""How long a worker waits for an output before it may take another call."""

CLOSING_SECONDS = 4.0
"""How long a worker waits for a generator to be closed whose step cannot be interrupted."""

_log = logging.getLogger(__name__)


class RemoteGenerator:
    """A generator in a worker.

    Args:
        handle: The executor.
        place: The process in which it is.
        number: Identifies it there.
    """

    def __init__(self, handle: ExecutorHandle, place: Place, number: int) -> None:
        self._handle = handle
        self._place = place
        self._number = number

    def request_chunk(self, received: int) -> Future[bytes]:
        """Have the worker make the chunk that follows so many outputs."""
        return self._ask(Question("fetch", self._number, FETCHING_SECONDS, received))

    async def receive_chunk(self, requested: Future[bytes]) -> Chunk:
        """Wait for a chunk that was requested.

        Raises:
            ExecutorLost: If the executor can work no more.
            WorkerLost: If the worker has ended.
        """
        waiter = asyncio.wrap_future(requested)
        try:
            await asyncio.wait([waiter])
        except asyncio.CancelledError:
            waiter.cancel()
            raise
        error = CancelledError() if waiter.cancelled() else waiter.exception()
        if isinstance(error, WorkerLost):
            raise error
        if error is not None:
            raise make_executor_lost(self._handle.explain(error))
        if not waiter.result():
            raise WorkerLost("the worker of the generator has ended, or lost some of its outputs")
        return Chunk(*pickle.loads(waiter.result()))

    def leave(self) -> Future[bytes]:
        """Have the generator closed."""
        here = hosting.find(self._number) if self._place.token == hosting.token else None
        if here is None:
            return self._ask(Question("close", self._number, CLOSING_SECONDS))
        here.leave()
        hosting.forget(here)
        return here.ended

    def _ask(self, question: Question) -> Future[bytes]:
        return self._handle.submit_to(self._place.worker, ask, self._place, question)


class RemoteOutputs:
    """The outputs of a generator in a worker.

    Args:
        remote: The generator.
        chunk: Its first outputs.

    Attributes:
        chunk: Those that came last.
    """

    def __init__(self, remote: RemoteGenerator, chunk: Chunk) -> None:
        self._remote = remote
        self.chunk = chunk

    @property
    def have_ended(self) -> bool:
        """Whether the generator has ended."""
        return self.chunk.end is not None

    async def iterate(self) -> AsyncIterator[Any]:
        """Iterate over them; while those of a chunk are taken the worker makes the next one."""
        received = 0
        while self.chunk.end is None:
            received += self.chunk.outputs
            requested = self._remote.request_chunk(received)
            try:
                for output in _unpack(self.chunk):
                    yield output
            except BaseException:
                requested.cancel()
                raise
            self.chunk = await self._remote.receive_chunk(requested)
        for output in _unpack(self.chunk):
            yield output


class Puller:
    """Opens generators on an executor, pulls their outputs, and closes those that are left.

    Args:
        handle: The executor.
        dispatcher: Passes the calls to it that open generators.
        chunk: Outputs that travel together; None for as many as are found right.
    """

    def __init__(self, handle: ExecutorHandle, dispatcher: Dispatcher, chunk: int | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle = handle
        self._dispatcher = dispatcher
        self._chunk = chunk
        self._closings: set[asyncio.Future[bytes]] = set()

    async def pull(self, node: PackedNode, payload: bytes, outlet: Outlet) -> NodeResult:
        """Open a generator and give its outputs to an outlet.

        Args:
            node: Opens it.
            payload: The input and what goes along, pickled.
            outlet: Where the outputs go.

        Raises:
            ExecutorLost: If the executor can work no more.
            WorkerLost: If the worker ends, before the first output again and again.
        """
        request = OpeningRequest(payload, self._chunk, hosting.token)
        packed = pack_input(request, WorkflowContext())
        result = await self._dispatcher.call(node, packed, self._discard)
        if not result.success:
            return result
        opened: Opened = result.output
        if opened.place is None:
            await outlet.pull(_unpack(opened.chunk))
            return _get_end(opened.chunk)
        remote = RemoteGenerator(self._handle, opened.place, opened.number)
        outputs = RemoteOutputs(remote, opened.chunk)
        try:
            await outlet.pull(outputs.iterate())
        finally:
            if not outputs.have_ended:
                closing = self._note_closing(remote.leave())
                if not is_closing():
                    await self._wait_until_closed(closing)
        return _get_end(outputs.chunk)

    async def finish_closing(self, until: float) -> None:
        """Wait until the generators that were left are closed, but not for long."""
        if self._closings:
            seconds = until - self._loop.time()
            await asyncio.wait(self._closings, timeout=max(0.0, seconds))

    def _discard(self, result: NodeResult) -> None:
        """Close a generator that was opened for a call which had been cancelled.

        When the event loop is closed, it is called in a thread of the executor.
        """
        if result.success and result.output.place is not None:
            opened: Opened = result.output
            assert opened.place is not None
            closing = RemoteGenerator(self._handle, opened.place, opened.number).leave()
            if not self._loop.is_closed():
                self._note_closing(closing)

    def _note_closing(self, requested: Future[bytes]) -> asyncio.Future[bytes]:
        # Not a task, which would be left where the end of ``asyncio.run`` leaves the generator.
        closing = asyncio.wrap_future(requested, loop=self._loop)
        self._closings.add(closing)
        closing.add_done_callback(self._note_closed)
        return closing

    async def _wait_until_closed(self, closing: asyncio.Future[bytes]) -> None:
        await asyncio.wait([closing], timeout=CLOSING_SECONDS + 1)
        if not closing.done():
            self._closings.discard(closing)
            _warn_of_busy_worker()

    def _note_closed(self, closing: asyncio.Future[bytes]) -> None:
        self._closings.discard(closing)
        if closing.cancelled() or closing.exception() is not None:
            return  # the executor is being shut down, with all that is in its workers
        if closing.result() == BUSY:
            _warn_of_busy_worker()


def _unpack(chunk: Chunk) -> Iterator[Any]:
    return unpack_outputs(chunk.data, chunk.outputs)


def _get_end(chunk: Chunk) -> NodeResult:
    assert chunk.end is not None
    return unpack_result(chunk.end)


def _warn_of_busy_worker() -> None:
    _log.warning("a generator that was left is not closed yet, because its worker is busy")
