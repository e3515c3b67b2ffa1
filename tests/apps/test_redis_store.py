"""A cache in a real Redis server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import CacheError, cache
from notebooks.apps.redis_store import RedisStore

from ..embedding.processes import RedisServer
from .printed import start_app

pytestmark = [
    pytest.mark.asyncio(loop_factories=["real"]),
    pytest.mark.slow,
    pytest.mark.one_python,
]


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_server.url) as redis:
        yield redis


async def test_what_was_computed_is_there_for_every_process(redis: Redis) -> None:
    calls: list[Any] = []

    def ask(number: int) -> dict[str, int]:
        calls.append(number)
        return {"doubled": 2 * number}

    for _ in range(2):  # a policy of its own, as each process has
        node = FunctionNode(ask).pipe(cache(RedisStore(redis), ttl=1_000))
        results = await BatchProcessor(node, 50).batch(range(1_000))
        assert results.outputs == [{"doubled": 2 * number} for number in range(1_000)]
    assert sorted(calls) == list(range(1_000))
    keys = await redis.keys("answers:*")
    assert len(keys) == 1_000
    assert 900_000 < await redis.pttl(keys[0]) <= 1_000_000


async def test_a_server_that_has_gone_fails_the_item(
    redis: Redis, redis_server: RedisServer
) -> None:
    node = FunctionNode(abs, "ask").pipe(cache(RedisStore(redis)))
    assert await node.run(-1) == 1
    redis_server.running.kill()
    redis_server.running.wait()
    (result,) = await BatchProcessor(node).batch([-1])
    assert isinstance(result.exception, CacheError)
    assert "ConnectionError" in str(result.error)


async def test_the_app_as_it_is_printed_computes_once(redis_server: RedisServer) -> None:
    for where in ("computed", "from Redis"):
        with start_app("redis_store", {"redis://localhost": redis_server.url}) as app:
            assert await asyncio.to_thread(app.end) == 0
        assert app.said == [
            f"What is six by seven? WHAT IS SIX BY SEVEN? ({where})\n",
            f"Why? WHY? ({where})\n",
        ]
