"""Share what was computed among all processes of a service: a cache in Redis.

    pip install nadoo-flow redis
    python redis_store.py redis://localhost 'What is six by seven?' 'Why?'

Each prompt is answered once within an hour, whichever process asks. Start it again, and all answers
come from Redis.
"""

import asyncio
import sys

from redis.asyncio import Redis

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import cache

HOUR = 3600


class RedisStore:
    def __init__(self, redis):  # one that does not decode
        self.redis = redis

    async def get(self, key):
        return await self.redis.get(f"answers:{key}")

    async def set(self, key, value, ttl):
        milliseconds = None if ttl is None else max(1, int(1000 * ttl))
        await self.redis.set(f"answers:{key}", value, px=milliseconds)


async def answer(prompt):
    await asyncio.sleep(1)  # stands for a call to a model
    return prompt.upper()


async def main(url, *prompts):
    async with Redis.from_url(url) as redis:
        node = FunctionNode(answer).pipe(cache(RedisStore(redis), version="model 4", ttl=HOUR))
        results = await BatchProcessor(node).batch(prompts)
    for result in results:
        if not result.success:
            print(f"{result.input_data} failed: {result.error}")
            continue
        where = "from Redis" if result.metadata.get("cached") else "computed"
        print(f"{result.input_data} {result.output} ({where})")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
