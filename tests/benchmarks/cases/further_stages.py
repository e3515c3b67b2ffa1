"""What a further stage costs an item, through a pipeline and through a chain of list stages.

A stage whose function suspends costs at least a suspension: the own pool, which awaits the same
functions one after the other, says how much that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, reduce
from operator import or_
from typing import Any, TypeAlias

from ..model import Case, Contestant, Outcome, Params, Run, us_per_item

Function: TypeAlias = Callable[[int], Any]
Through: TypeAlias = Callable[[Sequence[Function]], Callable[[list[int]], Awaitable[list[int]]]]
"""Takes the functions of the stages; returns what takes numbers through all of them."""

CONCURRENCY = 10
PIPELINE = "nadoo-flow Pipeline"
CHAIN = "nadoo-flow MapNode chain"
OWN = "own pool"


async def _suspending(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


def _sync(number: int) -> int:
    return number + 1


def pipeline(functions: Sequence[Function]) -> Callable[[list[int]], Awaitable[list[int]]]:
    from nadoo_flow import BatchProcessor, Pipeline

    work = Pipeline(*functions) if len(functions) > 1 else functions[0]
    processor = BatchProcessor(work, CONCURRENCY)

    async def run(numbers: list[int]) -> list[int]:
        return [result.output async for result in processor.batch_as_completed(numbers)]

    return run


def chain(functions: Sequence[Function]) -> Callable[[list[int]], Awaitable[list[int]]]:
    from nadoo_flow import MapNode

    stages = [
        MapNode(f"stage {stage}", function, f"list {stage}", f"list {stage + 1}", CONCURRENCY)
        for stage, function in enumerate(functions)
    ]
    chained: Any = reduce(or_, stages)

    async def run(numbers: list[int]) -> list[int]:
        output = await chained.run({"list 0": numbers})
        outputs: list[int] = output[f"list {len(stages)}"]
        return outputs

    return run


def own_pool(functions: Sequence[Function]) -> Callable[[list[int]], Awaitable[list[int]]]:
    first, *others = functions

    async def run(numbers: list[int]) -> list[int]:
        items, outputs = iter(numbers), []

        async def worker() -> None:
            for number in items:
                output = await first(number)
                for function in others:
                    output = await function(output)
                outputs.append(output)

        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENCY):
                group.create_task(worker())
        return outputs

    return run


def _prepare(through: Through, function: Function, params: Params) -> Run:
    run = through([function] * params["stages"])
    numbers = list(range(params["n"]))

    async def once() -> Outcome:
        outputs = await run(numbers)
        return Outcome([len(outputs), sum(outputs)])

    return once


def suspending(name: str) -> str:
    """Name the contestant whose functions suspend once."""
    return f"{name}, functions that suspend once"


def sync(name: str) -> str:
    """Name the contestant whose functions are not async."""
    return f"{name}, sync functions"


def _expected(params: Params) -> list[int]:
    n = params["n"]
    return [n, n * (n - 1) // 2 + n * params["stages"]]


CASES = (
    Case(
        module=__name__,
        name="further-stages",
        title="Cost of an item that goes through several functions, concurrency 10",
        unit="us/item",
        variants=tuple({"n": 20_000, "stages": stages} for stages in (1, 2, 3)),
        contestants=(
            Contestant(suspending(PIPELINE), partial(_prepare, pipeline, _suspending)),
            Contestant(sync(PIPELINE), partial(_prepare, pipeline, _sync)),
            Contestant(suspending(CHAIN), partial(_prepare, chain, _suspending)),
            Contestant(sync(CHAIN), partial(_prepare, chain, _sync)),
            Contestant(suspending(OWN), partial(_prepare, own_pool, _suspending)),
        ),
        expected=_expected,
        figure=us_per_item,
        never_waits=True,
        over="nothing",
    ),
)
