"""Many outputs for each item, made by two processes: what one costs on its way."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, TypeAlias

from ..model import Case, Contestant, Outcome, Params, Run, us_per_item

Take: TypeAlias = Callable[[int], object]
Way: TypeAlias = Callable[[], Callable[[int, int, Take], Awaitable[None]]]
"""Returns what passes on the outputs of items that have so many each."""

OURS_FROM_PROCESSES = "nadoo-flow FlatMapNode, on two processes"
QUEUE_BY_HAND = "multiprocessing by hand: two processes and a bounded queue of chunks"

ITEMS = 10
SPAWN = get_context("spawn")
CHUNK = 1_000
AHEAD = 4
"""Chunks that may wait in the queue."""


def give(length: int) -> Iterator[int]:
    yield from range(length)


def flat_map_node() -> Callable[[int, int, Take], Awaitable[None]]:
    from nadoo_flow import FlatMapNode, FunctionNode
    from nadoo_flow.executors import on

    executor = ProcessPoolExecutor(2, mp_context=SPAWN)
    atexit.register(executor.shutdown)
    node = FlatMapNode("give", FunctionNode(give).pipe(on(executor)), max_concurrency=4)

    async def run(items: int, length: int, take: Take) -> None:
        async with node.stream([length] * items) as outputs:
            async for output in outputs:
                take(output)

    return run


def work(lengths: Any, chunks: Any) -> None:
    while (length := lengths.get()) is not None:
        chunk = []
        for output in give(length):
            chunk.append(output)
            if len(chunk) == CHUNK:
                chunks.put(chunk)
                chunk = []
        chunks.put(chunk)
        chunks.put(None)


def by_hand() -> Callable[[int, int, Take], Awaitable[None]]:
    lengths, chunks = SPAWN.Queue(), SPAWN.Queue(AHEAD)
    for _ in range(2):
        SPAWN.Process(target=work, args=(lengths, chunks), daemon=True).start()

    async def run(items: int, length: int, take: Take) -> None:
        for _ in range(items):
            lengths.put(length)
        ended = 0
        while ended < items:
            chunk = await asyncio.to_thread(chunks.get)
            if chunk is None:
                ended += 1
                continue
            for output in chunk:
                take(output)

    return run


def _prepare(way: Way, params: Params) -> Run:
    run = way()
    warm = False

    async def once() -> Outcome:
        nonlocal warm
        if not warm:  # processes take a while to start, and to import what they need
            await run(4, 1, lambda _: None)
            warm = True
        count = total = 0

        def take(output: int) -> None:
            nonlocal count, total
            count += 1
            total += output

        await run(ITEMS, params["n"] // ITEMS, take)
        return Outcome([count, total])

    return once


def _expected(params: Params) -> list[int]:
    length = params["n"] // ITEMS
    return [ITEMS * length, ITEMS * (length * (length - 1) // 2)]


CASES = (
    Case(
        module=__name__,
        name="many-from-processes",
        title=f"Cost of an output of {ITEMS} items whose generators run in two processes",
        unit="us/output",
        variants=tuple({"n": n} for n in (100_000, 1_000_000)),
        contestants=(
            Contestant(OURS_FROM_PROCESSES, partial(_prepare, flat_map_node)),
            Contestant(QUEUE_BY_HAND, partial(_prepare, by_hand)),
        ),
        expected=_expected,
        figure=us_per_item,
        steady=False,
    ),
)
