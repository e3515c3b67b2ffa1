"""A stand-in for a service: slow, limited and unreliable, as much as a test wants."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable
from random import Random
from typing import Any, Literal, NamedTuple

from .._support.checks import (
    check_positive_int,
    check_positive_number,
    check_sync_function,
    describe_value,
)
from ..nodes import BaseNode, NodeContext, NodeResult, WorkflowContext
from ..nodes.context import unwrap_item
from .service_rules import FailureRule, Latency, ServiceError, as_failure_rule, as_latency
from .service_turns import Turns


class Answered(NamedTuple):
    """A call that was answered.

    Attributes:
        time: When the answer was given, by the clock of the loop.
        seconds: How long the call took, with the time that it was in the queue.

    Example:
        >>> service = FlakyService(latency=2)
        >>> with asyncio.Runner(loop_factory=virtual_time) as runner:
        ...     runner.run(service.run("why?"))
        'why?'
        >>> service.answered
        [Answered(time=2.0, seconds=2.0)]
    """

    time: float
    seconds: float


class FlakyService(BaseNode[Any, Any]):
    """A node that answers with its input, and behaves like a service meanwhile.

    All that is random is drawn from ``seed`` in the order of the calls, so in virtual time a test
    sees the same service each time. It is for one event loop at a time. A call that is refused
    takes the latency too, as a round trip does.

    Args:
        latency: Seconds that a call takes: a number, the bounds of random ones, or a function
            that returns them.
        failures: Which calls fail with a :class:`ServiceError`: a share from 0 to 1, or a function
            of the input and the number of the call with an equal input, from 1. It is called when
            the latency has passed, and returns a bool, or the exception to raise, or None; it may
            not be async.
        rate: Most calls in any span of ``per`` seconds; others are refused with status 429. There
            is no such limit by default.
        per: The length of that span.
        capacity: Most calls at a time. There is no such limit by default. It may be changed, as an
            attribute.
        when_full: Whether a call beyond the capacity is refused with status 503
            (``"reject"``) or waits for its turn (``"wait"``).
        answer: Makes the output of the input; the input itself by default.
        seed: Of the random latencies and failures.
        node_id: The name in errors.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If a number is out of its range, or ``when_full`` is another word.

    Attributes:
        started: When each call came, by the clock of the loop, the refused ones among them.
        answered: When each answer was given, and how long it took.
        failed: When each call failed that was not refused.
        rejected: When each call was refused.
        cancelled: How many calls were cancelled.

    Example:
        >>> from nadoo_flow import BatchProcessor
        >>> from nadoo_flow.testing import virtual_time
        >>> from nadoo_flow.policies import retry
        >>> service = FlakyService(latency=1, failures=lambda value, attempt: attempt < 3)
        >>> processor = BatchProcessor(service.pipe(retry(wait=60)), max_concurrency=5)
        >>> with asyncio.Runner(loop_factory=virtual_time) as runner:
        ...     runner.run(processor.batch(range(10))).outputs
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        >>> service.calls, service.peak
        (30, 5)
    """

    def __init__(
        self,
        *,
        latency: Latency = 0.0,
        failures: FailureRule = 0.0,
        rate: int | None = None,
        per: float = 1.0,
        capacity: int | None = None,
        when_full: Literal["reject", "wait"] = "reject",
        answer: Callable[[Any], Any] | None = None,
        seed: int = 0,
        node_id: str | None = None,
    ) -> None:
        super().__init__(node_id)
        self._draw_latency = as_latency(latency, Random(f"{seed} latency"))
        self._find_failure = as_failure_rule(failures, Random(f"{seed} failures"))
        self._rate = None if rate is None else check_positive_int(rate, "rate")
        self._per = check_positive_number(per, "per")
        self._turns = Turns(capacity)
        if when_full not in ("reject", "wait"):
            raise ValueError(
                f"when_full must be 'reject' or 'wait', got {describe_value(when_full)}"
            )
        self._waits = when_full == "wait"
        self._answer = None if answer is None else check_sync_function(answer, "answer")
        self._accepted: deque[float] = deque()
        self._calls_by_input: Counter[Hashable] = Counter()
        self.started: list[float] = []
        self.answered: list[Answered] = []
        self.failed: list[float] = []
        self.rejected: list[float] = []
        self.cancelled = 0

    @property
    def calls(self) -> int:
        """How many calls came, the refused ones among them."""
        return len(self.started)

    @property
    def capacity(self) -> int | None:
        """Most calls at a time, if there is such a limit."""
        return self._turns.capacity

    @capacity.setter
    def capacity(self, capacity: int | None) -> None:
        self._turns.capacity = capacity

    @property
    def running(self) -> int:
        """How many calls are in work, without those that wait or are refused."""
        return self._turns.running

    @property
    def peak(self) -> int:
        """Most calls that were in work at a time."""
        return self._turns.peak

    def count_busiest_window(self, seconds: float) -> int:
        """Count the calls in the busiest span of time: most that came in any so many seconds.

        Args:
            seconds: The length of the span, which does not contain its end.

        Raises:
            TypeError: If it is no number.
            ValueError: If it is not above 0.
        """
        seconds = check_positive_number(seconds, "seconds")
        busiest = first = 0
        for last, time in enumerate(self.started):
            # As sums of floats are not exact, a call that comes on time is not to count as early.
            while time - self.started[first] >= seconds * (1 - 1e-9):
                first += 1
            busiest = max(busiest, last - first + 1)
        return busiest

    def compute_throughput(self, since: float, until: float) -> float:
        """Compute the answers per second in a span of time.

        Args:
            since: Its begin, by the clock of the loop.
            until: Its end, which does not belong to it.

        Raises:
            ValueError: If it does not end after its begin.
        """
        if not since < until:
            raise ValueError(f"until must be after since, got since={since}, until={until}")
        return sum(since <= time < until for time, _ in self.answered) / (until - since)

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Answer one call.

        Args:
            node_context: Its input.
            workflow_context: Ignored.

        Raises:
            ServiceError: If it fails or is refused; or the exception that ``failures`` returned.
        """
        value = unwrap_item(node_context.input_data)
        came_at = asyncio.get_running_loop().time()
        self.started.append(came_at)
        attempt = self._count_attempt(value)
        try:
            await self._enter(came_at)
            try:
                await asyncio.sleep(self._draw_latency())
                failure = self._find_failure(value, attempt)
            finally:
                self._turns.give_back()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        now = asyncio.get_running_loop().time()
        if failure is not None:
            self.failed.append(now)
            raise failure
        output = value if self._answer is None else self._answer(value)
        self.answered.append(Answered(now, now - came_at))
        return NodeResult(True, output)

    def _count_attempt(self, value: Any) -> int:
        try:
            key: Hashable = value
            self._calls_by_input[key] += 1
        except TypeError:  # it cannot be hashed
            key = repr(value)
            self._calls_by_input[key] += 1
        return self._calls_by_input[key]

    async def _enter(self, now: float) -> None:
        while self._accepted and now - self._accepted[0] >= self._per * (1 - 1e-9):
            self._accepted.popleft()
        if self._rate is not None and len(self._accepted) >= self._rate:
            retry_after = self._per - (now - self._accepted[0])
            await self._reject(ServiceError("too many calls", 429, retry_after))
        if self._rate is not None:
            self._accepted.append(now)
        if self._turns.take():
            return
        if self._waits:
            await self._turns.wait()
        else:
            await self._reject(ServiceError("too many calls at a time", 503))

    async def _reject(self, error: ServiceError) -> None:
        await asyncio.sleep(self._draw_latency())
        self.rejected.append(asyncio.get_running_loop().time())
        raise error
