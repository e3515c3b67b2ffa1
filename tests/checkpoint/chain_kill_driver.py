"""Kills chains at random moments, starts them again, and tells whatever is wrong in the end.

Usage: python -m tests.checkpoint.chain_kill_driver FOLDER RUNS SEED, as of the kill_driver;
or with FOLDER alone, for one long run that is killed twenty times.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from reactivex import operators as ops

from nadoo_flow import FilterNode, FlatMapNode, MapNode, OperatorNode, ReduceNode, route

from .kill_driver import ITEMS, SOURCES, Driven, Log, drive, find_repetitions, start

LANES = [1, 3, 8]


class Life:
    """The functions of a chain in one life; each execution makes something else."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.log = Log(folder / "log")
        self.executed: set[str] = set()
        self.choices = random.Random(seed)
        self.delays = random.Random(seed + os.getpid())
        self.life = os.getpid()

    async def execute(self, stage: str, item: object) -> None:
        self.log.write("executed", stage, item)
        self.executed.add(f"{stage} {item}")
        await asyncio.sleep(self.delays.choice([0, 0, 0.0005, 0.002]))

    async def make(self, number: int) -> dict[str, int]:
        await self.execute("make", number)
        return {"n": number, "life": self.life}

    async def keep(self, made: dict[str, int]) -> bool:
        await self.execute("keep", made["n"])
        return made["n"] % 5 != 0

    async def cut(self, made: dict[str, int]) -> AsyncIterator[dict[str, int]]:
        await self.execute("cut", made["n"])
        for part in range(made["n"] % 4):
            await asyncio.sleep(self.delays.choice([0, 0, 0.0005]))
            yield {**made, "part": part, "cut in": self.life}

    async def use(self, made: Any) -> dict[str, Any]:
        made = made if isinstance(made, dict) else {"n": sum(each["n"] for each in made)}
        await self.execute("use", [made["n"], made.get("part", 0)])
        return {**made, "used in": self.life}

    def three(self, lanes: list[int]) -> Any:
        return (
            MapNode("make", self.make, output_key="items", max_concurrency=lanes[0])
            | FilterNode("keep", self.keep, output_key="items", max_concurrency=lanes[1])
            | MapNode("use", self.use, output_key="items", max_concurrency=lanes[2])
        )

    def many(self, lanes: list[int]) -> Any:
        return (
            MapNode("make", self.make, output_key="items", max_concurrency=lanes[0])
            | FlatMapNode("cut", self.cut, output_key="items", max_concurrency=lanes[1])
            | MapNode("use", self.use, max_concurrency=lanes[2])
        )

    def many_at_last(self, lanes: list[int]) -> Any:
        return MapNode(
            "make", self.make, output_key="items", max_concurrency=lanes[0]
        ) | FlatMapNode("cut", self.cut, max_concurrency=lanes[1])

    def buffered(self, lanes: list[int]) -> Any:
        return (
            MapNode("make", self.make, output_key="items", max_concurrency=lanes[0])
            | OperatorNode(ops.buffer_with_count(3), output_key="items")
            | MapNode("use", self.use, max_concurrency=lanes[1])
        )

    def routed(self, lanes: list[int]) -> Any:
        routes = {
            True: MapNode("make", self.make, output_key="items", max_concurrency=lanes[0]),
            False: MapNode("other", self.make, output_key="items", max_concurrency=lanes[1]),
        }
        return route(lambda number: number % 2 == 0, routes, node_id="route") | MapNode(
            "use", self.use, max_concurrency=lanes[2]
        )

    def reduced(self, lanes: list[int]) -> Any:
        return self.three(lanes) | ReduceNode("join", join)


def join(joined: list[Any] | None, output: Any) -> list[Any]:
    return [*(joined or []), output]


KINDS = ["three", "many", "many_at_last", "buffered", "routed", "reduced"]


def choose_lanes(choices: random.Random) -> list[int]:
    return [choices.choice(LANES) for _ in range(3)]


def count_lanes(kind: str, lanes: list[int]) -> int:
    """Count the lanes in which something may be executed again."""
    return sum(lanes[:2]) if kind in ("many_at_last", "buffered") else sum(lanes)


def run(folder: Path, seed: int) -> None:
    """Run any chain, in a child process; it may die at any moment."""
    choices = random.Random(seed)
    run_kind(folder, seed, choices.choice(KINDS), choose_lanes(choices), ITEMS)


def run_kind(folder: Path, seed: int, kind: str, lanes: list[int], items: int) -> None:
    """Run a chain of one kind over so many items."""
    life = Life(folder, seed)
    source = life.choices.choice(SOURCES)(range(items))
    chain = getattr(life, kind)(lanes)
    life.log.write("chain", kind)
    life.log.write("lanes", count_lanes(kind, lanes))
    asyncio.run(iterate(life, chain, source))
    life.log.write("ended")


async def iterate(life: Life, chain: Any, source: Any) -> None:
    ordered = life.delays.choice([False, True])
    path = life.folder / "chain.sqlite"
    async with chain.stream(source, checkpoint=path, ordered=ordered) as outputs:
        async for output in outputs:
            for each in output if isinstance(output, list) else [output]:
                resumed = each.get("used in", each.get("cut in")) != life.life
                life.log.write("delivered", [each["n"], each.get("part", 0)], each, resumed)


def find_complaints(folder: Path, items: int = ITEMS) -> list[str]:
    """Say what is wrong with a chain that has come to its end."""
    wrong, last = find_repetitions(folder / "log")
    kind = next(entry[1] for entry in last if entry[0] == "chain")
    results = sorted(entry[1] for entry in last if entry[0] == "delivered")
    if results != expect(kind, items):
        wrong.append(f"{kind}: not every output came once: {results}")
    return wrong


def expect(kind: str, items: int) -> list[list[int]]:
    """Return what identifies each output."""
    if kind.startswith("many"):
        return sorted([n, part] for n in range(items) for part in range(n % 4))
    if kind == "buffered":
        return [[3 * n + 3, 0] for n in range(0, items, 3)]
    return [[n, 0] for n in range(items) if n % 5 or kind == "routed"]


def kill_often(folder: Path, items: int, kills: int) -> tuple[int, list[str]]:
    """Run one chain of three stages, kill it so many times on its way, and let it end."""
    three = Driven(lambda folder, seed: run_kind(folder, seed, "three", [10] * 3, items), list)
    log = Log(folder / "log")
    # A life that goes on writes a line for each execution, and for each output that comes again.
    for kill in range(kills):
        child = start(three, folder, 1)
        wait_for_executions(folder / "log", 2 * items * (kill + 1) // kills)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        log.write("killed")
    assert os.waitpid(start(three, folder, 1), 0)[1] == 0
    return kills, find_complaints(folder, items)


def wait_for_executions(log: Path, number: int) -> None:
    while log.read_text().count("executed") < number:
        time.sleep(0.001)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(kill_often(Path(sys.argv[1]), 1_000, 20)))
    else:
        drive(Driven(run, find_complaints))
