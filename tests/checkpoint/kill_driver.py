"""Kills runs at random moments, starts them again, and tells whatever is wrong in the end.

Usage: python -m tests.checkpoint.kill_driver FOLDER RUNS SEED. A process of its own, because it
forks: each run is a child of this warm process, so that it takes milliseconds to start one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nadoo_flow import BatchProcessor, BatchResult, FunctionNode

from .helpers import as_async, as_generator

ITEMS = 60
LOG_SIZE = 60 * ITEMS  # bytes, about what a run writes
SOURCES: list[Callable[..., Any]] = [list, as_generator, as_async]


class Log:
    """A file of lines that survives its process, since each is written at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *entry: object) -> None:
        os.write(self._file, (json.dumps(entry) + "\n").encode())


def run(folder: Path, seed: int) -> None:
    """Run the batch, in a child process; it may die at any moment."""
    log = Log(folder / "log")
    choices = random.Random(seed)
    source, way = choices.choice(SOURCES), choices.choice([by_as_completed, by_observe, by_chunks])
    seconds = [choices.choice([0, 0, 0.0005, 0.002]) for _ in range(ITEMS)]

    async def work(number: int) -> dict[str, int]:
        log.write("executed", number)
        await asyncio.sleep(seconds[number])
        return {"square": number * number}

    def deliver(result: BatchResult) -> None:
        log.write("delivered", result.index, result.output, "resumed" in result.metadata)

    node = FunctionNode(work, "work")
    processor = BatchProcessor(node, choices.choice([1, 4, 32]), checkpoint=folder / "run.sqlite")
    asyncio.run(way(processor, source(range(ITEMS)), deliver))
    log.write("ended")


async def by_as_completed(processor: Any, inputs: Any, deliver: Callable[..., Any]) -> None:
    async for result in processor.batch_as_completed(inputs):
        deliver(result)


async def by_observe(processor: Any, inputs: Any, deliver: Callable[..., Any]) -> None:
    ended = asyncio.get_running_loop().create_future()
    processor.observe(inputs).subscribe(
        deliver, ended.set_exception, lambda: ended.set_result(None)
    )
    await ended


async def by_chunks(processor: Any, inputs: Any, deliver: Callable[..., Any]) -> None:
    async for chunk in processor.batch_in_chunks(inputs, 5):
        for result in chunk:
            deliver(result)


class Driven(NamedTuple):
    """What is killed again and again.

    Attributes:
        run: Runs to the end, if it is not killed; gets a folder and a seed.
        find_complaints: Says what is wrong in the folder at the end.
    """

    run: Callable[[Path, int], None]
    find_complaints: Callable[[Path], list[str]]


def start(driven: Driven, folder: Path, seed: int) -> int:
    """Fork a child that runs."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        driven.run(folder, seed)
        status = 0
    finally:
        os._exit(status)


def lives(log: Path) -> Iterator[list[list[Any]]]:
    """Give what each life of a run has written, divided where it was killed."""
    life: list[list[Any]] = []
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry[0] == "killed":
            yield life
            life = []
        else:
            life.append(entry)
    yield life


def complaints(folder: Path) -> list[str]:
    """Say what is wrong with a run that has come to its end."""
    wrong = []
    delivered: set[int] = set()
    last: list[list[Any]] = []
    for last in lives(folder / "log"):
        executed = [entry[1] for entry in last if entry[0] == "executed"]
        if again := delivered.intersection(executed):
            wrong.append(f"executed again after they had been delivered: {sorted(again)}")
        delivered.update(entry[1] for entry in last if entry[0] == "delivered")
    results = {entry[1]: entry[2] for entry in last if entry[0] == "delivered"}
    if sorted(entry[1] for entry in last if entry[0] == "delivered") != list(range(ITEMS)):
        wrong.append("not every input has exactly one result")
    if results != {number: {"square": number * number} for number in range(ITEMS)}:
        wrong.append("wrong outputs")
    if last[-1] != ["ended"]:
        wrong.append("the last life did not end")
    return wrong


def find_repetitions(log: Path) -> tuple[list[str], list[list[Any]]]:
    """Say what a run of several nodes has done again, or otherwise, that it had recorded before.

    Returns:
        The complaints, and what the last life has written.
    """
    wrong = []
    before: Counter[str] = Counter()
    delivered: dict[str, Any] = {}
    repeated, kills, lanes = 0, -1, 0
    last: list[list[Any]] = []
    for last in lives(log):
        kills += 1
        lanes = next((entry[1] for entry in last if entry[0] == "lanes"), lanes)
        executed = Counter(str(entry[1:]) for entry in last if entry[0] == "executed")
        if executed and max(executed.values()) > 1:
            wrong.append(f"executed twice in one life: {executed.most_common(2)}")
        repeated += (before & executed).total()
        before |= executed
        for _, item, output, _ in (entry for entry in last if entry[0] == "delivered"):
            if delivered.setdefault(str(item), output) != output:
                wrong.append(f"item {item} gave {output} after {delivered[str(item)]}")
    if repeated > kills * lanes:
        wrong.append(f"{repeated} executions repeated after {kills} kills, with {lanes} lanes")
    if last[-1] != ["ended"]:
        wrong.append("the last life did not end")
    return wrong, last


def kill_at(moments: random.Random, child: int, log: Path) -> int:
    """Kill a child when it has got so far, and a bit later; return its exit status."""
    enough = log.stat().st_size + moments.choice([0, moments.randrange(LOG_SIZE)])
    while log.stat().st_size < enough:
        time.sleep(0.0002)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
    time.sleep(moments.uniform(0, 0.005))
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def kill_and_restart(driven: Driven, folder: Path, seed: int) -> tuple[int, list[str]]:
    """Kill one run some times, let it end, and say how often it was killed and what is wrong."""
    moments = random.Random(seed)
    log = Log(folder / "log")
    killed = 0
    for _ in range(moments.choice([1, 1, 2, 3])):
        child = start(driven, folder, seed)
        status = kill_at(moments, child, folder / "log")
        if status != signal.SIGKILL:
            return killed, driven.find_complaints(folder) if status == 0 else [
                f"a run ended with {status}"
            ]
        killed += 1
        log.write("killed")
    _, status = os.waitpid(start(driven, folder, seed), 0)
    return killed, driven.find_complaints(folder) if status == 0 else [f"a run ended with {status}"]


def drive(driven: Driven) -> None:
    """Kill as many runs as the command line says, and print what came of it."""
    folder, runs, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    # What is imported now need not be by each child.
    (folder / "warm").mkdir()
    driven.run(folder / "warm", seed)
    gc.collect()  # some threads end when what has started them is garbage
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)  # a process that has one must not fork
    killed, in_the_middle, resumed, wrong = 0, 0, 0, {}
    for number in range(runs):
        one = folder / str(number)
        one.mkdir()
        times, complained = kill_and_restart(driven, one, seed + number)
        killed += times
        entries = [entry for life in lives(one / "log") for entry in life]
        in_the_middle += times > 0 and any(entry[-1] is True for entry in entries)
        resumed += sum(entry[-1] is True for entry in entries)
        if complained:
            wrong[seed + number] = complained
    print(
        json.dumps(
            {
                "runs": runs,
                "killed": killed,
                "in_the_middle": in_the_middle,
                "resumed": resumed,
                "wrong": wrong,
            }
        )
    )


if __name__ == "__main__":
    drive(Driven(run, complaints))
