"""Kills runs with a cache at random moments, and starts them again in another order.

Usage: python -m tests.policies.stores.kill_driver FOLDER RUNS SEED.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import cache

from ...checkpoint.kill_driver import ITEMS, Driven, Log, drive, lives


def run(folder: Path, seed: int) -> None:
    """Run a batch over all items, some of them twice, in an order of its own."""
    log = Log(folder / "log")
    choices = random.Random(seed + os.getpid())
    numbers = [*range(ITEMS), *choices.sample(range(ITEMS), 5)]
    choices.shuffle(numbers)
    seconds = [choices.choice([0, 0, 0.0005, 0.002]) for _ in range(ITEMS)]

    async def work(number: int) -> dict[str, int]:
        log.write("executed", number)
        await asyncio.sleep(seconds[number])
        return {"square": number * number}

    async def run_all() -> None:
        node = FunctionNode(work, "work").pipe(cache(folder / "cache.sqlite"))
        processor = BatchProcessor(node, choices.choice([1, 4, 32]))
        async for result in processor.batch_as_completed(numbers):
            log.write("delivered", result.input_data, result.output, "cached" in result.metadata)

    asyncio.run(run_all())
    log.write("ended")


def find_complaints(folder: Path) -> list[str]:
    """Say what is wrong with a run that has come to its end."""
    wrong = []
    delivered: set[int] = set()
    last: list[list[Any]] = []
    for last in lives(folder / "log"):
        executed = [entry[1] for entry in last if entry[0] == "executed"]
        if again := delivered.intersection(executed):
            wrong.append(f"executed again after they had been delivered: {sorted(again)}")
        if len(executed) > len(set(executed)):
            wrong.append("executed twice in one life")
        delivered.update(entry[1] for entry in last if entry[0] == "delivered")
        if any(entry[2] != {"square": entry[1] ** 2} for entry in last if entry[0] == "delivered"):
            wrong.append("wrong outputs")
    if delivered != set(range(ITEMS)) or last[-1] != ["ended"]:
        wrong.append("the last life did not end, or not with all items")
    return wrong


if __name__ == "__main__":
    drive(Driven(run, find_complaints))
