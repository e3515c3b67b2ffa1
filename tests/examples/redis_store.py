"""A store for caches in Redis, so that all processes of a service share what was computed."""


class RedisStore:
    def __init__(self, redis):  # a redis.asyncio.Redis that does not decode
        self.redis = redis

    async def get(self, key):
        return await self.redis.get(f"answers:{key}")

    async def set(self, key, value, ttl):
        milliseconds = None if ttl is None else max(1, int(1000 * ttl))
        await self.redis.set(f"answers:{key}", value, px=milliseconds)
