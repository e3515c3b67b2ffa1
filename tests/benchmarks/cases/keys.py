"""What ``key=`` costs an item: those of equal key are worked on one after the other, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ..model import Case, Contestant, Params, Run, us_per_item
from ..nodes import Input, Total, expected_total, inputs, suspend_once
from ..shapes import Inputs, Stream, Way, folded, over
from ..ways import OURS

CONCURRENCY = 10
OURS_KEYED = f"{OURS}, key"
BY_HAND = "asyncio by hand: a queue and a worker for each key in work"


def _make_key(keys: int) -> Callable[[Input], int]:
    return lambda data: data["n"] % keys  # type: ignore[no-any-return]


def _ours(keys: int | None, function: Any, concurrency: int) -> Stream:
    from nadoo_flow import BatchProcessor

    key = None if keys is None else _make_key(keys)
    return Stream(BatchProcessor(function, concurrency, key=key).batch_as_completed)


def _by_hand(
    keys: int, function: Callable[[Input], Awaitable[int]], concurrency: int
) -> Callable[[Inputs], Awaitable[Total]]:
    get_key = _make_key(keys)

    async def run(given: Inputs) -> Total:
        waiting: dict[int, asyncio.Queue[Input]] = {}
        room = asyncio.Semaphore(4 * concurrency)
        permits = asyncio.Semaphore(concurrency)
        count = total = 0

        async def work(key: int, queue: asyncio.Queue[Input]) -> None:
            nonlocal count, total
            while not queue.empty():
                async with permits:
                    output = await function(queue.get_nowait())
                count += 1
                total += output
                room.release()
            del waiting[key]

        async with asyncio.TaskGroup() as workers:
            for data in given:
                await room.acquire()
                key = get_key(data)
                if key in waiting:
                    waiting[key].put_nowait(data)
                else:
                    waiting[key] = queue = asyncio.Queue()
                    queue.put_nowait(data)
                    workers.create_task(work(key, queue))
        return count, total

    return run


def _prepare(way: Callable[[Params], Way], params: Params) -> Run:
    run = way(params)(suspend_once, CONCURRENCY)
    return over(run, inputs(params["n"]))


CASES = (
    Case(
        module=__name__,
        name="keys",
        title=f"Cost of an item with a key, concurrency {CONCURRENCY}, function suspends once",
        unit="us/item",
        variants=tuple({"n": 20_000, "keys": keys} for keys in (1_000_000, 1_000, 50, 1)),
        contestants=(
            Contestant(
                OURS_KEYED,
                partial(_prepare, lambda params: folded(partial(_ours, params["keys"]))),
            ),
            Contestant(OURS, partial(_prepare, lambda _: folded(partial(_ours, None)))),
            Contestant(
                BY_HAND, partial(_prepare, lambda params: partial(_by_hand, params["keys"]))
            ),
        ),
        expected=expected_total,
        figure=us_per_item,
        never_waits=True,
    ),
)
