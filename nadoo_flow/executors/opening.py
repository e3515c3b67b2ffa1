"""Opening a generator in a worker: an ordinary call, which returns its first outputs."""

from __future__ import annotations

import asyncio
import sys
import threading
from multiprocessing import current_process
from typing import NamedTuple

from ..nodes.context import WorkflowContext
from ..nodes.execution import Bound
from ..nodes.node import BaseNode
from .bundle import BUNDLE_SECONDS
from .chunk import Chunk
from .host import Host, hosting
from .place import Place, find_place
from .worker import Digest


class OpeningRequest(NamedTuple):
    """What a generator is opened with.

    Attributes:
        payload: The input, the WorkflowContext and maybe a Carrier of its node, pickled.
        chunk: Outputs that travel together; None for as many as are found right.
        caller: Identifies the process that asks.
    """

    payload: bytes
    chunk: int | None
    caller: bytes


class Opened(NamedTuple):
    """A generator that was opened.

    Attributes:
        chunk: Its first outputs, if there are any yet.
        place: Where it is; None if it has ended.
        number: Identifies it there.
    """

    chunk: Chunk
    place: Place | None
    number: int


class OpeningNode(BaseNode):
    """Opens the generator of a node, which travels inside it.

    Args:
        node_id: The id of the node.
        digest: Identifies the node in a worker.
        data: The node, pickled.
    """

    def __init__(self, node_id: str, digest: Digest, data: bytes) -> None:
        super().__init__(node_id)
        self._digest = digest
        self._data = data

    def _bind(self, workflow_context: WorkflowContext) -> Bound:
        return Bound(self._open, gives_output=True)

    async def _open(self, request: OpeningRequest) -> Opened:
        until = asyncio.get_running_loop().time() + BUNDLE_SECONDS
        must_finish = request.caller != hosting.token and _ends_after_calls()
        generator = hosting.make(sys.maxsize if must_finish else request.chunk)
        _here.get_host().begin(generator, self._digest, self._data, request.payload)
        try:
            await asyncio.sleep(0)  # the others of the bundle begin, too
            if must_finish:
                generator.finish()
            chunk = generator.fetch(max(0.0, until - asyncio.get_running_loop().time()), 0)
            assert chunk is not None
            if chunk.end is None:
                return Opened(chunk, find_place(request.caller), generator.number)
        except BaseException:  # another node has cancelled this, or no door could be opened
            generator.leave()
            hosting.forget(generator)
            raise
        hosting.forget(generator)
        return Opened(chunk, None, generator.number)


def _ends_after_calls() -> bool:
    """Return whether this is a process of a pool with ``max_tasks_per_child``.

    It would end with the generators in it, so they have to be finished first.
    """
    process = current_process()
    if getattr(getattr(process, "_target", None), "__module__", "") != "concurrent.futures.process":
        return False
    # What a ProcessPoolExecutor passes on to its processes. Nothing public says it: neither the
    # executor nor the process has an attribute for it, and a process that ends for this reason
    # does so as in a shutdown, while the executor already waits for it.
    arguments: tuple[object, ...] = getattr(process, "_args", ())
    return len(arguments) == 5 and arguments[4] is not None


class _Here(threading.local):
    """The host of the bundle that a thread works on."""

    def __init__(self) -> None:
        self._host: Host | None = None

    def get_host(self) -> Host:
        """Return the host of the generators that are begun in this turn of the loop.

        These are the ones of a bundle, which travel together because they are quick.
        """
        if self._host is None:
            self._host = hosting.acquire()
            asyncio.get_running_loop().call_soon(self._forget_host)
        return self._host

    def _forget_host(self) -> None:
        self._host = None


_here = _Here()
