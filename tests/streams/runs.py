"""Sources, plans and observers that the tests of the streams share."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from operator import itemgetter
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from reactivex import Observable, abc
from reactivex import operators as ops

from nadoo_flow.streams import InOrder, Isolation, Plan, Subscription, emit, flat_map
from nadoo_flow.testing import VirtualTimeLoop
from tests.work import Mapped

from ..stand_ins import CLEAN_UP, now

T = TypeVar("T")

FAR_TOO_MANY = 400_000
"""Items of an endless source that no test may come to; without a limit it would hang instead."""

in_any_case = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
"""For properties; a machine with other work to do is no failure."""

both_kinds = pytest.mark.parametrize("kind", ["sync", "async"])
"""For a source that is a generator, and one that is an async generator."""


class Inputs:
    """The numbers from 0, endless by default, in a generator that keeps a record.

    Attributes:
        pulled: How many were asked for and given.
        closed: How often a generator has run its ``finally`` block to the end.
    """

    def __init__(self, length: int | None = None, error: BaseException | None = None) -> None:
        self.length = length
        self.error = error
        self.pulled = 0
        self.closed = 0

    def sync(self) -> Generator[int, None, None]:
        try:
            yield from self._pull()
        finally:
            self.closed += 1

    async def asynchronous(self) -> AsyncGenerator[int, None]:
        try:
            for number in self._pull():
                yield number
        finally:
            await asyncio.sleep(CLEAN_UP)
            self.closed += 1

    def _pull(self) -> Iterator[int]:
        for number in range(FAR_TOO_MANY if self.length is None else self.length):
            self.pulled += 1
            yield number
        if self.length is None:
            raise AssertionError("an endless source was read without an end")
        if self.error is not None:
            raise self.error

    def of(self, kind: str) -> Any:
        """Open a generator of the kind."""
        return self.sync() if kind == "sync" else self.asynchronous()


async def same(value: T) -> T:
    """Map a value to itself without suspending."""
    return value


async def sleeping(value: T) -> T:
    """Map a value to itself in a second."""
    await asyncio.sleep(1)
    return value


async def never(value: object) -> None:
    """Wait for ever."""
    await asyncio.get_running_loop().create_future()


def values_of(source: Any) -> Callable[[Subscription], Observable[Any]]:
    """Build a chain that emits the values of a source, and does nothing else."""
    return lambda run: emit(run, source).pipe(ops.map(itemgetter(1)))


def lanes_plan(
    source: Any,
    mapper: Callable[[Any], Coroutine[Any, Any, Any]] = same,
    max_concurrent: int = 2,
    *,
    window: int | None = None,
    isolate: Isolation = "context",
) -> Plan[Any]:
    """Plan to put the values of a source through a mapper."""

    def build(run: Subscription) -> Observable[Any]:
        return values_of(source)(run).pipe(
            flat_map(
                run, Mapped(mapper), max_concurrent, isolate, drop_unstarted=run.drop_unstarted
            )
        )

    return Plan(build, max_concurrent, window)


def ordered_plan(
    source: Any, mapper: Callable[[Any], Coroutine[Any, Any, Any]], max_concurrent: int = 2
) -> Plan[Any]:
    """Plan the same as :func:`lanes_plan`, in the order of the source."""

    async def numbered(indexed: tuple[int, Any]) -> tuple[int, Any]:
        return indexed[0], await mapper(indexed[1])

    def build(run: Subscription) -> Observable[Any]:
        drop = run.drop_unstarted
        lanes = flat_map(run, Mapped(numbered), max_concurrent, drop_unstarted=drop)
        in_order = InOrder[Any](itemgetter(0))
        return emit(run, source).pipe(lanes, in_order.operator, ops.map(itemgetter(1)))

    return Plan(build, max_concurrent)


class Seen(abc.ObserverBase[Any]):
    """An observer that keeps every signal, with the virtual time of each."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.times: list[float] = []
        self.ends: list[BaseException | str] = []
        self.ended_at: float | None = None

    def on_next(self, value: Any) -> None:
        self.values.append(value)
        self.times.append(now())

    def on_error(self, error: BaseException) -> None:
        self.ends.append(error)
        self.ended_at = now()

    def on_completed(self) -> None:
        self.ends.append("completed")
        self.ended_at = now()


def started(plan: Plan[Any]) -> tuple[Subscription, Seen]:
    """Start a run whose items nobody settles but the test."""
    run, seen = plan.open(), Seen()
    run.start(plan.build, seen)
    return run, seen


def caught_by_loop() -> list[BaseException]:
    """Have the running loop's exception handler collect what it is told from now on."""
    told: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(context["exception"])
    )
    return told


def stack_depth() -> int:
    """Count the frames below the caller."""
    frame, depth = sys._getframe(1), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a virtual loop of its own, for tests that are no coroutines."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())
