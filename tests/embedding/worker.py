"""The consumer of the examples, with a node that counts in Redis how often it was executed.

Usage: ``python -m tests.embedding.worker URL CONSUMER``
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from nadoo_flow import BatchProcessor

from ..examples import consumer

ABANDONED = 3_000
EXECUTED = "executed"
LANES = 10
WINDOW = 4 * LANES
"""Entries that a consumer has at most between reading them and storing their answers."""


async def main(url: str, name: str) -> None:
    """Consume until killed."""
    async with consumer.connect(url) as redis:

        async def answer(entry: dict[str, Any]) -> str:
            await redis.hincrby(EXECUTED, entry["id"])
            return entry["prompt"].upper()

        await consumer.consume(redis, name, BatchProcessor(answer, max_concurrency=LANES))


if __name__ == "__main__":
    consumer.ABANDONED = ABANDONED
    asyncio.run(main(*sys.argv[1:]))
