"""Stand-ins for services that fail and that say when to come back, and for the endless caller."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    NodeResult,
    WorkflowContext,
)
from nadoo_flow.nodes.execution import answer_safely, as_result
from nadoo_flow.nodes.node import Policy
from nadoo_flow.policies import limit
from nadoo_flow.testing import FlakyService

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


def make_queueing_service(
    capacity: int, latency: Callable[[], float] | None = None
) -> FlakyService:
    """Make a service that lets calls beyond its capacity wait, in their order."""
    return FlakyService(latency=latency or 1.0, capacity=capacity, when_full="wait")


def make_rejecting_service(capacity: int) -> FlakyService:
    """Make a service that rejects calls beyond its capacity, a round trip later."""
    return FlakyService(latency=1.0, capacity=capacity, when_full="reject")


@asynccontextmanager
async def called_endlessly(
    service: FlakyService, shared: ConcurrencyLimit, *policies: Policy
) -> AsyncIterator[None]:
    """Have a service called all the time, as often as a limit allows."""

    async def call() -> None:
        async with processor.batch_as_completed(count()) as results:
            async for _ in results:
                pass

    processor = BatchProcessor(service.pipe(limit(shared), *policies), 200)
    caller = asyncio.create_task(call())
    yield
    caller.cancel()
    await asyncio.wait([caller])
