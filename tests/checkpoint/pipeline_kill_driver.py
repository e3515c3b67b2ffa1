"""Kills batches that record each node at random moments, and tells what is wrong in the end.

Usage: python -m tests.checkpoint.pipeline_kill_driver FOLDER RUNS SEED, as of the kill_driver.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

from nadoo_flow import BatchProcessor, BatchResult, FunctionNode

from .kill_driver import (
    ITEMS,
    SOURCES,
    Driven,
    Log,
    by_as_completed,
    by_chunks,
    by_observe,
    drive,
    find_repetitions,
)

NODES = ["fetch", "cut", "use"]


def run(folder: Path, seed: int) -> None:
    """Run the batch, in a child process; it may die at any moment."""
    log = Log(folder / "log")
    choices, delays = random.Random(seed), random.Random(seed + os.getpid())
    source, way = choices.choice(SOURCES), choices.choice([by_as_completed, by_observe, by_chunks])
    lanes = choices.choice([1, 4, 16])

    def make_node(name: str) -> FunctionNode[Any, Any]:
        async def execute(value: Any) -> dict[str, int]:
            made = value if isinstance(value, dict) else {"n": value}
            log.write("executed", name, made["n"])
            await asyncio.sleep(delays.choice([0, 0, 0.0005, 0.002]))
            # Something else in each life, so that it shows which one made what.
            return {**made, name: os.getpid()}

        return FunctionNode(execute, name)

    def deliver(result: BatchResult) -> None:
        log.write("delivered", result.index, result.output, "resumed" in result.metadata)

    fetch, cut, use = map(make_node, NODES)
    processor = BatchProcessor(
        fetch | cut | use, lanes, checkpoint=folder / "run.sqlite", checkpoint_each=True
    )
    log.write("lanes", lanes)
    asyncio.run(way(processor, source(range(ITEMS)), deliver))
    log.write("ended")


def find_complaints(folder: Path) -> list[str]:
    """Say what is wrong with a run that has come to its end."""
    wrong, last = find_repetitions(folder / "log")
    results = {entry[1]: entry[2] for entry in last if entry[0] == "delivered"}
    if sorted(entry[1] for entry in last if entry[0] == "delivered") != list(range(ITEMS)):
        wrong.append("not every input has exactly one result")
    if any(output.keys() != {"n", *NODES} for output in results.values()):
        wrong.append("wrong outputs")
    return wrong


if __name__ == "__main__":
    drive(Driven(run, find_complaints))
