"""Hosts: threads of a worker in which generators live, from their first step to their last.

A generator that waits until its outputs are wanted must not keep its worker from other calls, and
goes on where it began: with its thread's event loop, database connections and the like.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from multiprocessing.util import Finalize
from time import monotonic

from .._support.tasks import OwnedTask, start_owned
from ..nodes.execution import describe_failure
from .hosted import HostedGenerator
from .packed_result import PackedResult, pack_result
from .worker import Digest, KnownNodes, execute_packed
from .worker_loop import WorkerLoop

IDLE_SECONDS = 1.0
"""How long a host waits for its next generator before it ends."""

EXIT_SECONDS = 2.0
"""How long a process that exits waits for the generators that it closes."""


class Host:
    """A thread with an event loop on which generators run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived: asyncio.Event | None = None
        self._unfinished: set[HostedGenerator] = set()
        self._tasks: set[OwnedTask[PackedResult]] = set()
        self._nodes = KnownNodes()
        self._failure: BaseException | None = None
        ready = threading.Event()
        work = partial(self._work, ready.set)
        threading.Thread(target=work, name="nadoo_flow generators", daemon=True).start()
        ready.wait()

    def begin(
        self, generator: HostedGenerator, digest: Digest, node: bytes, payload: bytes
    ) -> None:
        """Run the generator of a node."""
        with self._lock:
            if self._failure is not None:
                generator.end(pack_result(describe_failure(self._failure)))
                return
            self._unfinished.add(generator)
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._start, generator, digest, node, payload)

    def _work(self, call_when_ready: Callable[[], None]) -> None:
        loop: WorkerLoop | None = None
        failure: BaseException = RuntimeError("the thread of the generator has ended")
        try:
            loop = WorkerLoop()
            loop.run(self._serve(loop, call_when_ready))
        except BaseException as error:  # of a task that a node started, or a node stopped the loop
            failure = error
        finally:
            hosting.retire(self)
            with self._lock:
                self._failure = failure
                unfinished, self._unfinished = self._unfinished, set()
            for generator in unfinished:
                generator.end(pack_result(describe_failure(failure)))
                hosting.forget(generator)
            call_when_ready()
            # The failure knows this frame, so that the loop would be left to the garbage collector.
            if loop is not None:
                loop.close()

    async def _serve(self, loop: WorkerLoop, call_when_ready: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        call_when_ready()
        while await self._wait_for_task(self._arrived):
            while self._tasks:
                done, _ = await asyncio.wait(self._tasks)
                self._tasks -= done
            await loop.cancel_leftovers()
            self._nodes.forget_oldest()
            self._arrived.clear()
            if self._tasks:  # begun meanwhile
                self._arrived.set()
            else:
                hosting.free(self)

    async def _wait_for_task(self, arrived: asyncio.Event) -> bool:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    return await arrived.wait()
            except TimeoutError:
                if hosting.retire(self):
                    return False

    def _start(
        self, generator: HostedGenerator, digest: Digest, node: bytes, payload: bytes
    ) -> None:
        if generator not in self._unfinished:
            return  # the thread has ended, and only closes what is left
        self._nodes.ensure_known(digest, {digest: node})
        task = start_owned(partial(self._run, generator, digest, payload))
        task.add_done_callback(partial(self._finish, generator))
        self._tasks.add(task)
        assert self._arrived is not None
        self._arrived.set()

    async def _run(
        self, generator: HostedGenerator, digest: Digest, payload: bytes
    ) -> PackedResult:
        generator.begin()
        return pack_result(await execute_packed(self._nodes.get(digest), payload, generator))

    def _finish(self, generator: HostedGenerator, task: asyncio.Task[PackedResult]) -> None:
        with self._lock:
            if generator not in self._unfinished:
                return  # the thread has ended, and the generator with it
            self._unfinished.remove(generator)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            generator.end(task.result())
        else:  # another node has cancelled it before it began
            generator.end(pack_result(describe_failure(error)))


class Hosting:
    """The hosts and generators of this process.

    Attributes:
        token: Identifies the process.
    """

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Forget those of the process from which this one was forked."""
        self.token = os.urandom(16)
        self._lock = threading.Lock()
        self._numbers = count()
        self._free: list[Host] = []
        self._generators: dict[int, HostedGenerator] = {}
        self._closes_at_exit = False

    def make(self, fixed: int | None) -> HostedGenerator:
        """Make a generator that can be found by its number."""
        with self._lock:
            if not self._closes_at_exit:
                # A process of a pool exits without a look at atexit.
                Finalize(None, self._close_all, exitpriority=100)
                self._closes_at_exit = True
            generator = HostedGenerator(next(self._numbers), fixed)
            self._generators[generator.number] = generator
            return generator

    def find(self, number: int) -> HostedGenerator | None:
        """Return a generator that is not forgotten."""
        return self._generators.get(number)

    def forget(self, generator: HostedGenerator) -> None:
        """Keep a generator no longer."""
        self._generators.pop(generator.number, None)

    def acquire(self) -> Host:
        """Return a host on which nothing runs."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return Host()

    def free(self, host: Host) -> None:
        """Note that nothing runs on a host."""
        with self._lock:
            self._free.append(host)

    def retire(self, host: Host) -> bool:
        """Return whether a host may end, because it is free, and is not any more."""
        with self._lock:
            if host in self._free:
                self._free.remove(host)
                return True
            return False

    def _close_all(self) -> None:
        until = monotonic() + EXIT_SECONDS
        generators = [*self._generators.values()]
        for generator in generators:
            generator.leave()
        for generator in generators:
            generator.wait_for_end(max(0.0, until - monotonic()))


hosting = Hosting()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=hosting.start_anew)
