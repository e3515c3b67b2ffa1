"""An event loop with virtual time that gives up a case which does not end."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from nadoo_flow.testing import DeadlockError, VirtualTimeLoop
from nadoo_flow.testing.waiting_tasks import describe_tasks

from .case import FOREVER
from .ledger import Ledger

TURNS = 20_000
"""Turns of the loop that no case may take."""

PATIENCE = 300.0
"""Virtual seconds within which a run that is asked to end has ended."""


class EndlessError(DeadlockError):
    """The loop turns, and the case does not end."""


class VirtualThread:
    """Does in virtual time what an executor of one thread would do, one call after the other.

    Args:
        loop: The loop that waits for it.
        seconds: How long each call takes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._free_at = 0.0

    def call(self, function: Any, *arguments: Any) -> asyncio.Future[Any]:
        """Call a function when those before are done, and return the future of its result."""
        future: asyncio.Future[Any] = self._loop.create_future()
        begins = max(self._loop.time(), self._free_at)
        self._free_at = begins + self._seconds

        def begin() -> None:
            # What has begun is done, whoever still waits for it.
            if not future.cancelled():
                self._loop.call_at(begins + self._seconds, work)

        def work() -> None:
            try:
                result = function(*arguments)
            except BaseException as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self._loop.call_at(begins, begin)
        return future


class FuzzLoop(VirtualTimeLoop):
    """Gives a case up that takes too many turns, or too much virtual time.

    Args:
        ledger: The books of the case.
        disk_seconds: How long each call takes in an executor other than the default one, which is
            the thread of a checkpoint and has no real thread here.
    """

    def __init__(self, ledger: Ledger, disk_seconds: float = 0.0) -> None:
        super().__init__()
        self._disk_seconds = disk_seconds
        self._disks: dict[int, tuple[Any, VirtualThread]] = {}
        select, turns, threads = self._jumping.select, 0, threading.active_count()

        def counted(timeout: float | None = None) -> Any:
            nonlocal turns
            turns += 1
            if turns > TURNS:
                raise _make_error(f"it turns for ever, since {self.time():g} s")
            # A thread has a moment of real time before virtual time passes.
            foreign = timeout and threading.active_count() > threads
            if foreign and (ready := self._jumping._real.select(0.002)):
                return ready
            events = select(timeout)
            asked = ledger.asked_at
            if self.time() >= FOREVER / 2 or (asked is not None and self.time() > asked + PATIENCE):
                raise _make_error("it does not end in time")
            return events

        self._jumping.select = counted  # type: ignore[method-assign]

    def run_in_executor(  # type: ignore[override]  # it is typed with a TypeVarTuple
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        if executor is None:
            return super().run_in_executor(None, func, *args)
        if executor._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        # Kept with its executor, so that the id belongs to no other one.
        new = executor, VirtualThread(self, self._disk_seconds)
        return self._disks.setdefault(id(executor), new)[1].call(func, *args)


def _make_error(text: str) -> EndlessError:
    return EndlessError("\n  ".join([text, *describe_tasks(asyncio.all_tasks())]))
