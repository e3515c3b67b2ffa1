"""Generators that do what they must not, behind policies in all orders, however they are left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from itertools import permutations
from typing import Any

import pytest
from reactivex import operators as ops

from nadoo_flow import AdaptiveLimit, ConcurrencyLimit, FlatMapNode, FunctionNode, OperatorNode
from nadoo_flow.policies import (
    CircuitBreaker,
    circuit_breaker,
    fallback,
    limit,
    rate_limit,
    retry,
    timeout,
)

from ..stand_ins import assert_only_the_caller_runs, log_of_the_loop, now, raised_by

VARIABLE: ContextVar[int] = ContextVar("VARIABLE", default=0)


async def ignores_its_close(item: int) -> AsyncIterator[int]:
    for _ in range(9):
        with suppress(GeneratorExit):
            await asyncio.sleep(1)
            yield item


async def yields_in_its_finally(item: int) -> AsyncIterator[int]:
    try:
        yield item
        await asyncio.sleep(1)
    finally:
        yield item


async def swallows_its_cancels(item: int) -> AsyncIterator[int]:
    for _ in range(6):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        yield item


async def raises_generator_exit(item: int) -> AsyncIterator[int]:
    yield item
    raise GeneratorExit


async def raises_a_cancel(item: int) -> AsyncIterator[int]:
    if item:
        yield item
    raise asyncio.CancelledError


async def cancels_itself(item: int) -> AsyncIterator[int]:
    task = asyncio.current_task()
    assert task is not None
    if item:
        yield item
    task.cancel()
    await asyncio.sleep(1)
    yield item


async def cancels_itself_and_goes_on(item: int) -> AsyncIterator[int]:
    yield item
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    yield item


async def raises_in_its_finally(item: int) -> AsyncIterator[int]:
    try:
        yield item
        await asyncio.sleep(1)
        yield item
    finally:
        raise OSError("closing")


async def sets_a_variable(item: int) -> AsyncIterator[int]:
    token = VARIABLE.set(item)
    try:
        for _ in range(3):
            await asyncio.sleep(1)
            yield item
    finally:
        await asyncio.sleep(1)
        VARIABLE.reset(token)


async def yields_in_a_timeout(item: int) -> AsyncIterator[int]:
    async with asyncio.timeout(1.5):
        for _ in range(3):
            yield item
            await asyncio.sleep(1)


async def yields_in_a_group(item: int) -> AsyncIterator[int]:
    async with asyncio.TaskGroup() as group:
        helper = group.create_task(asyncio.sleep(2))
        yield item
        await helper
        yield item


def ignores_its_close_at_once(item: int) -> Iterator[int]:
    for _ in range(9):
        with suppress(GeneratorExit):
            yield item


def raises_stop_iteration(item: int) -> Iterator[int]:
    yield item
    raise StopIteration


class OddIterator:
    """Gives what need not be a coroutine, and cannot be closed."""

    aclose = None

    def __init__(self) -> None:
        self._given = 0

    def __aiter__(self) -> OddIterator:
        return self

    def __anext__(self) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._given += 1
        if self._given > 3:
            future.set_exception(StopAsyncIteration())
        else:
            future.set_result(self._given)
        return future


def gives_futures(item: int) -> OddIterator:
    return OddIterator()


IGNORING: tuple[Callable[[int], Any], ...] = (
    ignores_its_close,
    ignores_its_close_at_once,
    yields_in_its_finally,
)
"""Of which Python complains."""
HOSTILE: tuple[Callable[[int], Any], ...] = (
    swallows_its_cancels,
    raises_generator_exit,
    raises_a_cancel,
    cancels_itself,
    cancels_itself_and_goes_on,
    raises_in_its_finally,
    sets_a_variable,
    yields_in_a_timeout,
    yields_in_a_group,
    raises_stop_iteration,
    gives_futures,
)
KINDS = ("timeout", "each", "retry", "limit", "adaptive", "fallback", "breaker", "rate")
ENDINGS = ("to_end", "leave", "cancel", "enough")


def make_policies(*names: str) -> tuple[list[Any], list[ConcurrencyLimit]]:
    """Make policies, and list the limits that they use."""
    plain, adaptive = ConcurrencyLimit(2), AdaptiveLimit(2)
    policies = {
        "timeout": timeout(3.5),
        "each": timeout(1.2, each=True),
        "retry": retry(2, wait=0.5),
        "limit": limit(plain),
        "adaptive": limit(adaptive),
        "fallback": fallback(lambda _: ["other"]),
        "breaker": circuit_breaker(CircuitBreaker(3, recovery=1), wait=True),
        "rate": rate_limit(5),
    }
    return [policies[name] for name in names], [plain, adaptive]


async def leave(stage: Any, ordered: bool, ending: str, seconds: float) -> None:
    """Consume a stream slowly, and end it."""

    async def consume() -> None:
        async with stage.stream(range(3), ordered=ordered, max_in_flight=4) as stream:
            async for _ in stream:
                if ending == "leave" and now() >= seconds:
                    break
                await asyncio.sleep(0.3)

    consumer = asyncio.create_task(consume())
    if ending == "cancel":
        await asyncio.sleep(seconds)
        consumer.cancel()
    error = await raised_by(asyncio.wait_for(asyncio.shield(consumer), 1_000))
    assert ending == "cancel" or not isinstance(error, (asyncio.CancelledError, TimeoutError))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("child", HOSTILE, ids=lambda child: child.__name__)
async def test_nothing_hangs_and_nothing_is_left(child: Any, ending: str) -> None:
    log = log_of_the_loop()
    await leave_in_all_ways(child, ending)
    assert log() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("child", IGNORING, ids=lambda child: child.__name__)
async def test_nor_where_a_generator_ignores_its_close(child: Any, ending: str) -> None:
    log = log_of_the_loop()
    await leave_in_all_ways(child, ending)
    log()


async def leave_in_all_ways(child: Any, ending: str) -> None:
    """Put a generator function behind each pair of policies."""
    for number, order in enumerate(permutations(KINDS, 2)):
        policies, limits = make_policies(*order)
        node = FunctionNode[Any, Any](child)
        node.isolate = "task" if number % 3 == 0 else "context"
        stage: Any = FlatMapNode(
            "hostile", node.pipe(*policies), "items", "items", 3, number % 5 < 3
        )
        if ending == "enough":
            stage |= OperatorNode(ops.take(2), input_key="items")
        await leave(stage, number % 2 == 0, ending, (number % 7) / 2)
        assert [shared.in_use for shared in limits] == [0, 0], order
        assert_only_the_caller_runs()
        assert VARIABLE.get() == 0
