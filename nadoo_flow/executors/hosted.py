"""A generator in a worker, between the thread that runs it and the calls that fetch its outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Condition, Lock
from time import monotonic
from typing import Any, cast

from .._support.tasks import OwnedTask, is_to_end
from ..streams import Hold, Outputs, are_async, close_outputs
from .bundle import BUNDLE_SECONDS
from .chunk import PLAIN, Chunk, ChunkBuffer
from .packed_result import PackedResult
from .wire import OutputPacker


class HostedGenerator:
    """Makes outputs while a call asks for them, and no more than a chunk.

    It is the outlet of the node, in the thread of the node. The other methods are for any thread.

    Args:
        number: Identifies it in its process.
        fixed: Outputs of a chunk; with None it finds the number.

    Attributes:
        holds: What it gives back while it waits until outputs are wanted.
        outputs: How many it has given.
        ended: Done, with nothing, when nothing of it runs.
    """

    def __init__(self, number: int, fixed: int | None) -> None:
        self.number = number
        self.holds: list[Hold] = []
        self.outputs = 0
        self._buffer = ChunkBuffer(fixed)
        self._packer = OutputPacker()
        self._changed = Condition(Lock())
        self._is_wanted = False
        # Whether the next step may be taken without a pause; it is read without the lock before
        # each output. Not set when a call asks for more, so that a generator whose steps take
        # longer than calls wait pauses between them, too, for the others on its thread.
        self._goes_on = False
        self._is_left = False
        self._end: PackedResult | None = None
        self.ended: Future[bytes] = Future()
        self._waiter: asyncio.Future[None] | None = None
        self._task: OwnedTask[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def fetch(self, seconds: float, received: int) -> Chunk | None:
        """Return the next chunk, which may be empty and not the last one.

        Args:
            seconds: How long to wait for an output.
            received: How many outputs have arrived. If others were fetched, there is no chunk:
                Dask calls once more when it has lost what a call returned.
        """
        until = monotonic() + seconds
        with self._changed:
            self._want_more()
            # Not woken by the first output: the two threads would contend for the interpreter.
            while not self._changed.wait_for(self._is_full, _limit(until - monotonic())):
                if self._buffer.outputs or monotonic() >= until:
                    break
            else:
                self._buffer.grow()
            self._is_wanted = self._goes_on = False
            if received != self.outputs - self._buffer.outputs:
                return None
            return self._buffer.take(self._end)

    def finish(self) -> None:
        """Wait until it has ended, and keep all its outputs for one chunk."""
        with self._changed:
            self._want_more()
        wait([self.ended])

    def leave(self) -> None:
        """Close the generator, as soon as its step has ended."""
        with self._changed:
            self._is_left = True
            self._is_wanted = self._goes_on = False
            if self._loop is not None and self._task is not None and self._end is None:
                self._loop.call_soon_threadsafe(self._task.end)

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until nothing of it runs; return False if that takes longer."""
        return not wait([self.ended], seconds).not_done

    def begin(self) -> None:
        """Note the task in which it runs, which is the current one."""
        with self._changed:
            self._loop = asyncio.get_running_loop()
            self._task = cast("OwnedTask[Any]", asyncio.current_task())
            if self._is_left:
                self._task.end()

    def end(self, answer: PackedResult) -> None:
        """Note how it has ended."""
        with self._changed:
            self._end = answer
            self._task = self._loop = None
            self._changed.notify_all()
        self.ended.set_result(b"")

    async def pull(self, outputs: Outputs[Any]) -> None:
        """Take outputs to their end, each when a call wants it."""
        is_async = are_async(outputs)
        end: type[Exception] = StopAsyncIteration if is_async else StopIteration
        pull: Callable[[Any], Any] = anext if is_async else next
        try:
            while True:
                if not self._goes_on:
                    await self._wait_until_wanted()
                try:
                    output = pull(outputs)
                    if is_async:
                        output = await output
                except end:
                    return
                self._put(output)
        finally:
            await close_outputs(outputs)

    def _put(self, output: Any) -> None:
        buffer = self._buffer
        is_plain = type(output) in PLAIN
        # At once, because a generator may change what it has given; and not under the lock.
        data = b"" if is_plain else self._packer.pack([output])
        with self._changed:
            self.outputs += 1
            if is_plain:
                buffer.add_plain(output)
            else:
                buffer.add_packed(data)
            if buffer.is_full:
                self._is_wanted = self._goes_on = False
                self._changed.notify_all()

    async def _wait_until_wanted(self) -> None:
        for hold in reversed(self.holds):
            hold.give_back()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # other generators of the thread may be wanted, too
        while True:
            if is_to_end():  # it has swallowed that
                raise asyncio.CancelledError
            with self._changed:
                if self._is_wanted:
                    self._goes_on = True
                    break
                self._waiter = loop.create_future()
            await self._waiter
        for hold in self.holds:
            await hold.take_again()

    def _want_more(self) -> None:
        if self._is_left or self._end is not None or self._is_full():
            return
        self._is_wanted = True
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    def _is_full(self) -> bool:
        return self._end is not None or self._buffer.is_full


def _limit(seconds: float) -> float:
    return min(max(seconds, 0.0), BUNDLE_SECONDS)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
