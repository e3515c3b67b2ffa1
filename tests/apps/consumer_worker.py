"""The consumer app, with a node that counts in Redis how often it was executed.

Usage: ``python -m tests.apps.consumer_worker URL CONSUMER``

It ends on SIGTERM, when what it has in work is stored.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from nadoo_flow import BatchProcessor
from notebooks.apps import consumer

ABANDONED = 3_000
EXECUTED = "executed"
LANES = 10
WINDOW = 4 * LANES
"""Entries that a consumer has at most between reading them and storing their answers."""


async def main(url: str, name: str) -> None:
    """Consume until terminated or killed."""
    valve = consumer.drain_on_signals()
    async with consumer.connect(url) as redis:

        async def answer(entry: dict[str, Any]) -> str:
            await redis.hincrby(EXECUTED, entry["id"])
            return entry["prompt"].upper()

        processor = BatchProcessor(answer, max_concurrency=LANES, valve=valve)
        await consumer.consume(redis, name, processor)


if __name__ == "__main__":
    consumer.ABANDONED = ABANDONED
    asyncio.run(main(*sys.argv[1:]))
