"""Kills runs at random moments, and prints which failures they had handed out without a letter.

Usage: python -m tests.dead_letters.kill_driver FOLDER KILLS SEED. A process of its own, because it
forks: each run is a child of this warm process, so that it takes milliseconds to start one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from nadoo_flow import BatchProcessor, read_failed


async def run(folder: Path, life: int) -> None:
    """Fail for every second input, and log each failure that was handed out."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        if number % 2:
            raise ValueError("x" * (number % 5000))

    processor = BatchProcessor(work, 32, failed_to=folder / "failed.jsonl")
    inputs = itertools.count(life * 1_000_000)
    async with processor.batch_as_completed(inputs) as results:
        async for result in results:
            if not result.success:
                os.write(log, f"{result.input_data}\n".encode())


def main() -> None:
    folder, kills, moments = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    for life in range(kills):
        child = os.fork()
        if not child:
            try:
                asyncio.run(run(folder, life))
            finally:
                os._exit(1)
        time.sleep(moments.uniform(0.005, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    handed_out = {int(line) for line in (folder / "log").read_text().splitlines()}
    written = {letter.input for letter in read_failed(folder / "failed.jsonl")}
    print(json.dumps({"handed_out": len(handed_out), "lost": sorted(handed_out - written)}))


if __name__ == "__main__":
    main()
