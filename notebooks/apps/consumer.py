"""Answer the prompts of a Redis stream: an entry is acknowledged when its answer is stored.

Start any number of consumers, each with a name of its own, and add prompts:

    pip install nadoo-flow redis
    python consumer.py redis://localhost first

    redis-cli XADD prompts '*' prompt 'What is six by seven?'
    redis-cli XREAD STREAMS answers 0

On Ctrl-C or SIGTERM a consumer reads no more, and ends when what it has in work is answered. A
second Ctrl-C ends it at once. Nothing is lost, whoever is killed: after a minute another consumer
claims what one had read and not answered.
"""

import asyncio
import signal
import sys
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from nadoo_flow import BatchProcessor, Valve

PROMPTS, ANSWERS, GROUP = "prompts", "answers", "answerers"
ABANDONED = 60_000
"""Milliseconds after which an entry counts as left behind by a dead consumer."""


async def answer(entry):
    await asyncio.sleep(len(entry["prompt"]) / 10)  # stands for a call to a model
    return entry["prompt"].upper()


async def entries(redis, consumer):
    with suppress(ResponseError):  # the group is there already
        await redis.xgroup_create(PROMPTS, GROUP, id="0", mkstream=True)
    while True:
        _, found, _ = await redis.xautoclaim(PROMPTS, GROUP, consumer, ABANDONED, count=10)
        if not found:
            new = await redis.xreadgroup(GROUP, consumer, {PROMPTS: ">"}, count=10, block=1_000)
            found = new[0][1] if new else []
        for entry_id, fields in found:
            yield {"id": entry_id, **fields}


async def consume(redis, consumer, processor):
    async with processor.batch_as_completed(entries(redis, consumer)) as results:
        async for result in results:
            entry_id = result.input_data["id"]
            told = {"answer": result.output} if result.success else {"error": result.error}
            await redis.xadd(ANSWERS, {"id": entry_id, **told})
            await redis.xack(PROMPTS, GROUP, entry_id)


def connect(url):
    # With a timeout each write is in asyncio.wait_for, which on Python 3.11 loses cancellations.
    return Redis.from_url(url, decode_responses=True, socket_timeout=None)


def drain_on_signals():
    valve, loop = Valve(), asyncio.get_running_loop()

    def drain():
        valve.drain()
        loop.remove_signal_handler(signal.SIGINT)  # so that a second one is a KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, drain)
    return valve


async def main(url, consumer):
    processor = BatchProcessor(answer, max_concurrency=10, valve=drain_on_signals())
    async with connect(url) as redis:
        await consume(redis, consumer, processor)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
