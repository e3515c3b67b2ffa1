"""The shapes of the ways to run a node or a function over many inputs.

A way that gives its results one by one is a :class:`Stream`; a :class:`Listing` returns them all.
Both kinds are folded into the same total.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from .model import Outcome, Run
from .nodes import Input, Total

Inputs: TypeAlias = Iterable[Input]
Way: TypeAlias = Callable[[Any, int], Callable[[Inputs], Coroutine[Any, Any, Total]]]
"""Takes a node or a function, and a concurrency; returns what runs it over inputs."""


@dataclass(frozen=True)
class Stream:
    """Results one by one.

    Attributes:
        open: Starts over inputs; leaving the context closes it.
        output: Takes the output out of a result.
    """

    open: Callable[[Inputs], AbstractAsyncContextManager[AsyncIterator[Any]]]
    output: Callable[[Any], int] = attrgetter("output")


@dataclass(frozen=True)
class Listing:
    """All results in a list.

    Attributes:
        run: Runs over inputs.
        output: Takes the output out of a result.
    """

    run: Callable[[Inputs], Awaitable[list[Any]]]
    output: Callable[[Any], int] = attrgetter("output")


StreamWay: TypeAlias = Callable[[Any, int], Stream]
ListWay: TypeAlias = Callable[[Any, int], Listing]


def folded(make: StreamWay) -> Way:
    """Consume a stream of results as they come."""

    def way(work: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
        stream = make(work, concurrency)

        async def run(inputs: Inputs) -> Total:
            output, count, total = stream.output, 0, 0
            async with stream.open(inputs) as results:
                async for result in results:
                    count += 1
                    total += output(result)
            return count, total

        return run

    return way


def collected(make: ListWay) -> Way:
    """Take the list of all results."""

    def way(work: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
        listing = make(work, concurrency)

        async def run(inputs: Inputs) -> Total:
            results = await listing.run(inputs)
            return len(results), sum(map(listing.output, results))

        return run

    return way


def over(run: Callable[[Inputs], Awaitable[Total]], given: Inputs) -> Run:
    """Make what is timed: one run over the inputs."""

    async def once() -> Outcome:
        return Outcome(await run(given))

    return once
