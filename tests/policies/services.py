"""Stand-ins for services that fail, that tell when to come back, and that have a capacity."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    FunctionNode,
    NodeResult,
    WorkflowContext,
)
from nadoo_flow.nodes.execution import answer_safely, as_result
from nadoo_flow.nodes.node import Policy
from nadoo_flow.policies import limit

from ..stand_ins import now


async def outcome(node: BaseNode, input_data: Any) -> NodeResult:
    """Execute a node as a batch does: whatever it raises becomes a result."""
    return as_result(await answer_safely(node._bind(WorkflowContext()), input_data))


def raises(error: str) -> Any:
    raise ValueError(error)


def returns(error: str) -> NodeResult:
    return NodeResult(success=False, error=f"ValueError: {error}")


Fail = Callable[[str], Any]


class Flaky:
    """A function that fails as often as its item says, and then answers.

    An item is ``{"name": ..., "failures": ...}``.

    Attributes:
        tries: When each item was tried, by its name.
    """

    def __init__(self, fail: Fail = raises, seconds: float = 0) -> None:
        self.tries: defaultdict[Any, list[float]] = defaultdict(list)
        self._fail = fail
        self._seconds = seconds

    async def __call__(self, item: dict[str, Any]) -> Any:
        name = item["name"]
        tries = self.tries[name]
        tries.append(now())
        await asyncio.sleep(self._seconds)
        if len(tries) <= item["failures"]:
            return self._fail(f"{name} failed, try {len(tries)}")
        return name


class Clock(datetime):
    """A clock that stands still, for dates in headers."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime(2015, 10, 21, 7, 28, 0, tzinfo=UTC).astimezone(tz)


class Response:
    """What HTTP clients hang on their exceptions."""

    def __init__(self, status_code: int = 429, headers: Any = None) -> None:
        self.status_code = status_code
        self.headers = headers


class HttpError(Exception):
    """An exception with any attributes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("from the service")
        for name, value in attributes.items():
            setattr(self, name, value)


class Service:
    """A service with a capacity that may change, and a record of what it did.

    Attributes:
        answered: When each answer was given, and how long it took.
        rejected: When each call was rejected.
    """

    def __init__(
        self,
        capacity: int,
        seconds: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._running = 0
        self.answered: list[tuple[float, float]] = []
        self.rejected: list[float] = []

    def resize(self, capacity: int) -> None:
        self._capacity = capacity

    async def __call__(self, item: Any) -> Any:
        called_at = now()
        await self._enter()
        try:
            await asyncio.sleep(self._seconds())
        finally:
            self._leave()
        self.answered.append((now(), now() - called_at))
        return item

    def throughput(self, since: float, until: float) -> float:
        """Answers per second in a span of time."""
        return sum(since <= at < until for at, _ in self.answered) / (until - since)

    async def _enter(self) -> None:
        self._running += 1

    def _leave(self) -> None:
        self._running -= 1


class QueueingService(Service):
    """Lets calls beyond its capacity wait, in their order."""

    def __init__(self, capacity: int, seconds: Callable[[], float] = lambda: 1.0) -> None:
        super().__init__(capacity, seconds)
        self._queue: deque[asyncio.Future[None]] = deque()

    def resize(self, capacity: int) -> None:
        super().resize(capacity)
        self._admit()

    async def _enter(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        super()._leave()
        self._admit()

    def _admit(self) -> None:
        while self._queue and self._running < self._capacity:
            turn = self._queue.popleft()
            if not turn.cancelled():
                self._running += 1
                turn.set_result(None)


class RejectingService(Service):
    """Rejects calls beyond its capacity, a round trip later."""

    async def _enter(self) -> None:
        if self._running >= self._capacity:
            await asyncio.sleep(1)
            self.rejected.append(now())
            raise HttpError(status_code=429)
        await super()._enter()


@asynccontextmanager
async def called_endlessly(
    service: Service, shared: ConcurrencyLimit, *policies: Policy
) -> AsyncIterator[None]:
    """Have a service called all the time, as often as a limit allows."""

    async def call() -> None:
        async with processor.batch_as_completed(count()) as results:
            async for _ in results:
                pass

    processor = BatchProcessor(FunctionNode(service).pipe(limit(shared), *policies), 200)
    caller = asyncio.create_task(call())
    yield
    caller.cancel()
    await asyncio.wait([caller])
