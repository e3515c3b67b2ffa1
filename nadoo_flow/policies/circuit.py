"""The circuit of a service: whether it is known to be down."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Literal, NamedTuple, TypeAlias

from reactivex import Observable
from reactivex.subject import Subject

from .._support.checks import check_positive_int, check_positive_number
from .._support.clock import get_clock
from .._support.report_error import report_error
from ..errors import NO_MESSAGE
from ..nodes.context import NodeResult
from .failures import Failures, get_exception, make_predicate
from .limit import find_held_limits

State: TypeAlias = Literal["closed", "open", "half-open"]


class CircuitOpen(Exception):  # the state of the circuit, in the field's words
    """The error of an item whose service is not called, because it was down a moment ago.

    Attributes:
        last_error: What the service answered last.
        seconds: Until the next probe.

    Example:
        >>> print(CircuitOpen("HTTP 503", seconds=12))
        the service is not called, the next probe in 12 s; its last error: HTTP 503
    """

    def __init__(self, last_error: str, seconds: float) -> None:
        when = f"the next probe in {seconds:.3g} s" if seconds > 0 else "a probe is being made"
        super().__init__(f"the service is not called, {when}; its last error: {last_error}")
        self.last_error = last_error
        self.seconds = seconds

    def __reduce__(self) -> tuple[type[CircuitOpen], tuple[str, float]]:
        return CircuitOpen, (self.last_error, self.seconds)


class CircuitChange(NamedTuple):
    """A change of the state of a circuit.

    Attributes:
        state: The new state.
        time: Seconds, by the clock of the event loop.
        error: The last error of the service, if it was one that made the circuit open.

    Example:
        >>> CircuitChange("open", time=3.5, error="HTTP 503").state
        'open'
    """

    state: State
    time: float
    error: str | None


class CircuitBreaker:
    """The state of a service, which all nodes that call it share, on one event loop.

    It is closed while the service works. After some failures it is open for a while: no call is
    made. Then it is half-open: one item at a time is a probe, whose success closes it, and whose
    failure opens it again (Nygard, "Release It!", 2007).

    Args:
        failures: How many failures open it: one after the other, or in ``within`` seconds.
        within: Seconds in which they come; by default any success between them resets the count.
        recovery: Seconds that it stays open.
        counts: Which failures count: exception classes, or a predicate on the exception. A failure
            without an exception counts as a :class:`NodeError`.

    Attributes:
        state: ``"closed"``, ``"open"`` or ``"half-open"``.
        changes: A hot Observable of the changes of the state.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> service = CircuitBreaker(failures=2, recovery=30)
        >>> node = FunctionNode(lambda n: 60 // n).pipe(circuit_breaker(service))
        >>> results = asyncio.run(BatchProcessor(node, max_concurrency=1).batch([0, 0, 5]))
        >>> service.state, type(results[2].exception).__name__
        ('open', 'CircuitOpen')
    """

    def __init__(
        self,
        failures: int = 5,
        within: float | None = None,
        recovery: float = 30.0,
        counts: Failures = Exception,
    ) -> None:
        self.failures = check_positive_int(failures, "failures")
        self.within = None if within is None else check_positive_number(within, "within")
        self.recovery = check_positive_number(recovery, "recovery")
        self.state: State = "closed"
        self._counts = make_predicate(counts, "counts")
        self._subject: Subject[CircuitChange] = Subject()
        self._failed: deque[float] = deque(maxlen=self.failures)
        self._last_error = NO_MESSAGE
        self._opens_at = 0.0
        self._is_probing = False
        self._probe_holds: frozenset[object] = frozenset()
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def changes(self) -> Observable[CircuitChange]:
        """What happens to the state from now on."""
        return self._subject

    @property
    def last_error(self) -> str:
        """The last failure that counted."""
        return self._last_error

    @property
    def waiting(self) -> int:
        """How many executions wait until a call may be made."""
        return len(self._waiters)

    def admit(self) -> bool:
        """Return whether a call may be made now, and whether it is a probe is remembered."""
        if self.state == "closed":
            return True
        if self.state == "open" and self._get_time() >= self._opens_at:
            self._change("half-open")
        if self.state == "open" or self._is_probing:
            return False
        self._is_probing = True
        self._probe_holds = find_held_limits()
        return True

    def make_error(self) -> CircuitOpen:
        """Return the error of an item that is not admitted."""
        return CircuitOpen(self._last_error, self._get_seconds_left())

    def may_be_waited_for(self) -> bool:
        """Return whether waiting ends.

        It might not, if the probe needed what the caller holds, such as the only permit of a limit.
        """
        return not self._is_probing or find_held_limits() <= self._probe_holds

    async def wait(self) -> None:
        """Wait until a call may be admitted."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        seconds = self._get_seconds_left()
        try:
            await asyncio.wait([waiter], timeout=seconds if self.state == "open" else None)
        finally:
            with suppress(ValueError):  # it may have been woken
                self._waiters.remove(waiter)

    def note_success(self, is_probe: bool) -> None:
        """Take a success into account.

        Args:
            is_probe: Whether the execution was the probe.
        """
        if is_probe:
            self._is_probing = False
            self._failed.clear()
            self._change("closed")
        elif self.within is None:
            self._failed.clear()

    def note_failure(self, result: NodeResult, node_id: str, is_probe: bool) -> None:
        """Take a failure into account.

        Args:
            result: The failed answer.
            node_id: The node that gave it.
            is_probe: Whether the execution was the probe.
        """
        if not self._counts(get_exception(result, node_id)):
            self.leave(is_probe)
            return
        self._last_error = result.error or NO_MESSAGE
        now = self._get_time()
        self._failed.append(now)
        full = len(self._failed) == self.failures
        recent = self.within is None or now - self._failed[0] <= self.within
        if is_probe or (self.state == "closed" and full and recent):
            self._is_probing = False
            self._opens_at = now + self.recovery
            self._change("open", self._last_error)

    def leave(self, is_probe: bool) -> None:
        """Let another item be the probe, because this one says nothing about the service.

        Args:
            is_probe: Whether the execution was the probe.
        """
        if is_probe:
            self._is_probing = False
            self._wake()

    def _get_time(self) -> float:
        return get_clock(asyncio.get_running_loop())()

    def _get_seconds_left(self) -> float:
        return max(self._opens_at - self._get_time(), 0.0)

    def _change(self, state: State, error: str | None = None) -> None:
        self.state = state
        try:
            self._subject.on_next(CircuitChange(state, self._get_time(), error))
        except Exception as raised:
            loop = asyncio.get_running_loop()
            report_error(loop, "an observer of a circuit breaker raised", raised)
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        running = asyncio.get_running_loop()
        for waiter in waiters:
            if waiter.get_loop() is running:
                _finish(waiter)
            else:
                with suppress(RuntimeError):  # the loop may be closed
                    waiter.get_loop().call_soon_threadsafe(_finish, waiter)

    def __repr__(self) -> str:
        return f"CircuitBreaker({self.failures}, recovery={self.recovery:g}, state={self.state!r})"


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
