"""Many outputs for each item: what one of them costs, also behind policies, and what piles up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from ..model import Case, Contestant, Outcome, Params, Peer, Run, us_per_item
from ..peers import AIOSTREAM

Give: TypeAlias = Callable[[int], AsyncIterator[int]]
Take: TypeAlias = Callable[[int], object]
ManyWay: TypeAlias = Callable[[Give, int], Callable[[int, Take], Awaitable[None]]]
"""Takes what gives the outputs of an item, and a concurrency; returns what runs over items."""

OURS_MANY = "nadoo-flow FlatMapNode"
QUEUE = "asyncio by hand: workers and a bounded queue"
AIOSTREAM_MANY = "aiostream flatmap(task_limit)"

ITEMS = 1_000
AHEAD = 4
"""Outputs for each worker that may wait in the queue, as many as the window of a run has."""


def _give_outputs(length: int) -> Give:
    async def outputs(item: int) -> AsyncIterator[int]:
        for number in range(length):
            yield number

    return outputs


def flat_map_node(
    give: Give, concurrency: int, make_policy: Callable[[], Any] | None = None
) -> Callable[[int, Take], Awaitable[None]]:
    from nadoo_flow import FlatMapNode, FunctionNode

    child = FunctionNode[int, Any](give)
    piped = child.pipe() if make_policy is None else child.pipe(make_policy())
    node = FlatMapNode("give", piped, max_concurrency=concurrency)

    async def run(items: int, take: Take) -> None:
        async with node.stream(range(items)) as outputs:
            async for output in outputs:
                take(output)

    return run


def _timeout() -> Any:
    from nadoo_flow.policies import timeout

    return timeout(60)


def _timeout_for_each() -> Any:
    from nadoo_flow.policies import timeout

    return timeout(60, each=True)


def _limit() -> Any:
    from nadoo_flow.policies import ConcurrencyLimit, limit

    return limit(ConcurrencyLimit(1_000))


def _retry() -> Any:
    from nadoo_flow.policies import retry

    return retry()


POLICIES: dict[str, Callable[[], Any] | None] = {
    "nadoo-flow, no policy": None,
    "timeout": _timeout,
    "timeout, each": _timeout_for_each,
    "limit": _limit,
    "retry": _retry,
}


def queue(give: Give, concurrency: int) -> Callable[[int, Take], Awaitable[None]]:
    async def run(items: int, take: Take) -> None:
        outputs: asyncio.Queue[int | None] = asyncio.Queue(AHEAD * concurrency)
        left = iter(range(items))

        async def work() -> None:
            for item in left:
                async for output in give(item):
                    await outputs.put(output)
            await outputs.put(None)

        workers = [asyncio.create_task(work()) for _ in range(concurrency)]
        ended = 0
        while ended < len(workers):
            output = await outputs.get()
            if output is None:
                ended += 1
            else:
                take(output)
        await asyncio.gather(*workers)

    return run


def aiostream(give: Give, concurrency: int) -> Callable[[int, Take], Awaitable[None]]:
    from aiostream import stream

    async def run(items: int, take: Take) -> None:
        many = stream.flatmap(stream.range(items), give, task_limit=concurrency)
        async with many.stream() as outputs:
            async for output in outputs:
                take(output)

    return run


def _split(params: Params) -> tuple[int, int]:
    """Return how many items there are, and how many outputs each has."""
    n: int = params["n"]
    items = min(ITEMS, n)
    return items, n // items


def _prepare(way: ManyWay, params: Params) -> Run:
    items, length = _split(params)
    run = way(_give_outputs(length), params["concurrency"])

    async def once() -> Outcome:
        count = total = 0

        def take(output: int) -> None:
            nonlocal count, total
            count += 1
            total += output

        await run(items, take)
        return Outcome([count, total])

    return once


def _expected(params: Params) -> list[int]:
    items, length = _split(params)
    return [items * length, items * (length * (length - 1) // 2)]


def _contestant(name: str, way: ManyWay, peer: Peer | None = None) -> Contestant:
    return Contestant(name, partial(_prepare, way), peer)


CASES = (
    Case(
        module=__name__,
        name="many-outputs",
        title=f"Cost of an output of {ITEMS:,} items that give as many each",
        unit="us/output",
        variants=tuple({"n": n, "concurrency": 10} for n in (10_000, 100_000, 1_000_000)),
        contestants=(
            _contestant(OURS_MANY, flat_map_node),
            _contestant(QUEUE, queue),
            _contestant(AIOSTREAM_MANY, aiostream, AIOSTREAM),
        ),
        expected=_expected,
        figure=us_per_item,
        never_waits=True,
    ),
    Case(
        module=__name__,
        name="policies-many",
        title="Cost of an output of a generator behind a policy",
        unit="us/output",
        variants=({"n": 100_000, "concurrency": 10},),
        contestants=tuple(
            _contestant(name, partial(flat_map_node, make_policy=make_policy))
            for name, make_policy in POLICIES.items()
        ),
        expected=_expected,
        figure=us_per_item,
        never_waits=True,
    ),
)
