"""An event loop whose clock jumps to the next timer, so that no test waits for real."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, TypeVarTuple

from .._support.checks import check_non_negative_number
from .waiting_tasks import describe_tasks

Arguments = TypeVarTuple("Arguments")

PATIENCE = 20.0
"""Real seconds that a loop without timers waits for other threads."""


class DeadlockError(RuntimeError):
    """Every task waits, and no timer will ever wake one; or they turn for ever.

    Its text names the tasks, and the lines at which they wait.

    Example:
        >>> async def wait():
        ...     await asyncio.Event().wait()
        >>> try:
        ...     with asyncio.Runner(loop_factory=virtual_time) as runner:
        ...         runner.run(wait())
        ... except DeadlockError as error:
        ...     print(error)
        every task waits, and no timer will ever wake one:
          task 'Task-...' waits in ... > Event.wait (...)
    """


class _JumpingSelector(selectors.BaseSelector):
    """Lets time pass at once instead of waiting for it."""

    def __init__(self, max_turns: float) -> None:
        self.now = 0.0
        self._max_turns = max_turns
        self._turns = 0
        self._bystanders = frozenset(threading.enumerate())
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turns += 1
        if self._turns > self._max_turns:
            self._turns = 0  # or the tasks could not clean up
            raise _make_deadlock_error(f"no end after {self._max_turns:,} turns of the loop")
        # With no timer in sight only another thread can wake the loop; it works in real time. Those
        # that were there before the loop know nothing of it.
        foreign = timeout is None and not self._bystanders.issuperset(threading.enumerate())
        ready = self._real.select(PATIENCE if foreign else 0)
        if not ready:
            if timeout is None:
                raise _make_deadlock_error("every task waits, and no timer will ever wake one")
            self.now += max(timeout, 0)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that starts at time 0 and never waits for a timer.

    When all tasks wait, its clock jumps to the next timer, so ``await asyncio.sleep(3600)`` takes
    no real time, and everything happens in the order and at the times that the timers say. When no
    timer is left either, it raises a :class:`DeadlockError` instead of waiting for ever. While a
    thread that was started after the loop is alive, it waits up to 20 real seconds for that first.

    Threads, sockets and subprocesses work in real time. The clock does not wait for them while a
    timer is armed: use a real loop in tests of these.

    Args:
        max_turns: Turns of the loop after which it raises a :class:`DeadlockError` too, for code
            that may do something again and again without an end. There is no limit by default.

    Example:
        >>> async def sleep_for_a_day() -> float:
        ...     await asyncio.sleep(86_400)
        ...     return asyncio.get_running_loop().time()
        >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        ...     runner.run(sleep_for_a_day())
        86400.0
    """

    def __init__(self, *, max_turns: int | None = None) -> None:
        self._jumping = _JumpingSelector(math.inf if max_turns is None else max_turns)
        super().__init__(self._jumping)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return the virtual time: seconds since the loop was made."""
        return self._jumping.now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call a function at a virtual time, in a later turn of the loop."""
        # A real clock moves between two turns. Code that arms a timer again because a rounding
        # error was left would spin for ever if this one did not move at all.
        when = max(when, math.nextafter(self.time(), math.inf))
        return super().call_at(when, callback, *args, context=context)

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as in the base class
    ) -> None:
        """Wait until the threads of ``asyncio.to_thread`` have ended, however long that takes."""
        # They work in real time, and a timeout would be over at once.
        await super().shutdown_default_executor()

    def advance(self, seconds: float) -> None:
        """Let time pass inside a callback, as a computation would.

        Args:
            seconds: How much time passes.

        Raises:
            TypeError: If it is no number.
            ValueError: If it is negative, infinite or nan.
        """
        self._jumping.now += check_non_negative_number(seconds, "seconds")


def virtual_time() -> VirtualTimeLoop:
    """Make an event loop with virtual time; this is a loop factory.

    Give it to whatever takes one: ``asyncio.Runner(loop_factory=virtual_time)``, in Python 3.12 and
    later ``asyncio.run(main(), loop_factory=virtual_time)``, and with anyio the backend
    ``("asyncio", {"loop_factory": virtual_time})``. In pytest a fixture of the same name, from the
    plugin ``nadoo_flow.testing.pytest_plugin``, has the loop of an async test made by it.

    Example:
        >>> with asyncio.Runner(loop_factory=virtual_time) as runner:
        ...     runner.run(asyncio.sleep(3600, "an hour later"))
        'an hour later'
    """
    return VirtualTimeLoop()


def advance(seconds: float) -> None:
    """Let virtual time pass in the running loop without suspending, as a computation would.

    Args:
        seconds: How much time passes. Timers that become due meanwhile fire afterwards.

    Raises:
        RuntimeError: If the running loop has no virtual time, or no loop runs.
        TypeError: If ``seconds`` is no number.
        ValueError: If it is negative, infinite or nan.

    Example:
        >>> async def compute():
        ...     advance(0.5)
        ...     return asyncio.get_running_loop().time()
        >>> with asyncio.Runner(loop_factory=virtual_time) as runner:
        ...     runner.run(compute())
        0.5
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise RuntimeError(
            f"advance() needs a loop with virtual time, got {loop!r}; "
            "make it with loop_factory=virtual_time"
        )
    loop.advance(seconds)


def _make_deadlock_error(text: str) -> DeadlockError:
    # It is raised inside the loop, between two steps of its tasks.
    waiting = describe_tasks(asyncio.all_tasks()) or ["no task is left"]
    return DeadlockError("\n  ".join([f"{text}:", *waiting]))
