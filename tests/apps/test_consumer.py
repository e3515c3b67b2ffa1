"""A consumer group of a real Redis server: nothing is lost, whoever is killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from nadoo_flow import BatchProcessor
from notebooks.apps import consumer
from notebooks.apps.consumer import ANSWERS, GROUP, PROMPTS

from ..embedding.processes import PATIENCE, Process, RedisServer
from ..interrupts import interruptible
from ..stand_ins import DIVISION, assert_only_the_caller_runs
from .consumer_worker import EXECUTED, LANES, WINDOW
from .printed import start_app

pytestmark = [
    pytest.mark.asyncio(loop_factories=["real"]),
    pytest.mark.slow,
    pytest.mark.one_python,
]

ENTRIES = int(os.environ.get("NADOO_FLOW_ENTRIES", "20000"))
KILLS = 3
COUNT = 10
"""Entries that the consumer reads at a time."""


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with consumer.connect(redis_server.url) as redis:
        yield redis


async def add(redis: Redis, count: int) -> list[str]:
    """Add prompts and return the ids of their entries."""
    ids: list[str] = []
    for start in range(0, count, 1_000):
        pipe = redis.pipeline()
        for number in range(start, min(start + 1_000, count)):
            pipe.xadd(PROMPTS, {"prompt": f"prompt {number}"})
        ids += await pipe.execute()
    return ids


async def answers(redis: Redis) -> AsyncIterator[dict[str, str]]:
    """Yield answers as they are stored, endlessly."""
    last = "0"
    while True:
        for _, stored in await redis.xread({ANSWERS: last}, count=1_000, block=1_000):
            for last, answer in stored:  # noqa: B007
                yield answer


async def pending(redis: Redis) -> int:
    """Count what was read and not acknowledged."""
    return (await redis.xpending(PROMPTS, GROUP))["pending"]


async def test_consumers_that_are_killed_lose_nothing_and_repeat_no_more_than_was_in_flight(
    redis: Redis, redis_server: RedisServer
) -> None:
    chance = random.Random(1)
    kills = sorted(chance.sample(range(1_000, ENTRIES - 1_000), KILLS))
    ids = await add(redis, ENTRIES)
    handled: Counter[str] = Counter()
    with ExitStack() as stack:

        def worker(number: int) -> Process:
            command = [sys.executable, "-m", "tests.apps.consumer_worker", redis_server.url]
            return stack.enter_context(Process(*command, f"worker {number}"))

        workers = [worker(0), worker(1)]
        async with asyncio.timeout(2 * PATIENCE):
            async for answer in answers(redis):
                handled[answer["id"]] += 1
                while kills and handled.total() >= kills[0]:
                    del kills[0]
                    chance.shuffle(workers)
                    workers.pop().running.kill()
                    workers.append(worker(KILLS - len(kills) + 1))
                if len(handled) == ENTRIES:
                    break
            # What was answered by a consumer that died before it said so is answered again.
            while await pending(redis):
                await redis.xread({ANSWERS: "$"}, block=100)
        assert [worker.running.poll() for worker in workers] == [None, None]
    stored = Counter(entry["id"] for _, entry in await redis.xrange(ANSWERS))
    executed = {key: int(count) for key, count in (await redis.hgetall(EXECUTED)).items()}
    assert stored.keys() == executed.keys() == set(ids)
    repeated = stored.total() - ENTRIES, sum(executed.values()) - ENTRIES
    print(f"{repeated[0]} answers stored again, {repeated[1]} executed again, {KILLS} kills")
    assert repeated[0] <= KILLS * WINDOW
    # One more is in the consumer's own hands.
    assert repeated[1] <= KILLS * (WINDOW + 1)


async def test_rule_r50_a_consumer_that_is_asked_to_end_repeats_nothing(
    redis: Redis, redis_server: RedisServer
) -> None:
    count, stops = 2_000, 5
    ids = await add(redis, count)
    handled: Counter[str] = Counter()
    with ExitStack() as stack:

        def worker(number: int) -> Process:
            command = [sys.executable, "-m", "tests.apps.consumer_worker", redis_server.url]
            return stack.enter_context(Process(*command, f"worker {number}"))

        running, stopped_at = worker(0), [300 * (number + 1) for number in range(stops)]
        async with asyncio.timeout(2 * PATIENCE):
            async for answer in answers(redis):
                handled[answer["id"]] += 1
                if stopped_at and handled.total() >= stopped_at[0]:
                    del stopped_at[0]
                    running.running.terminate()
                    assert await asyncio.to_thread(running.end) == 0
                    running = worker(stops - len(stopped_at))
                if len(handled) == count:
                    break
            while await pending(redis):
                await redis.xread({ANSWERS: "$"}, block=100)
    stored = Counter(entry["id"] for _, entry in await redis.xrange(ANSWERS))
    executed = {key: int(times) for key, times in (await redis.hgetall(EXECUTED)).items()}
    assert stored == executed == dict.fromkeys(ids, 1)


async def test_an_entry_is_acknowledged_when_its_result_was_stored_also_if_it_is_a_failure(
    redis: Redis,
) -> None:
    async def divide(entry: dict[str, str]) -> float:
        return 1 / int(entry["prompt"].removeprefix("prompt "))

    ids = await add(redis, 3)
    processor = BatchProcessor(divide, max_concurrency=1)
    consuming = asyncio.create_task(consumer.consume(redis, "consumer", processor))
    async with asyncio.timeout(PATIENCE):
        stored = answers(redis)
        seen = [await anext(stored) for _ in range(3)]
        while await pending(redis):
            await redis.xread({ANSWERS: "$"}, block=10)
    assert seen == [
        {"id": ids[0], "error": DIVISION},
        {"id": ids[1], "answer": "1.0"},
        {"id": ids[2], "answer": "0.5"},
    ]
    await stopped(consuming)


async def test_no_more_is_read_than_the_run_has_room_for(redis: Redis) -> None:
    room = asyncio.Semaphore(0)
    running = 0
    full = asyncio.Event()

    async def wait(entry: dict[str, str]) -> str:
        nonlocal running
        running += 1
        if running == LANES:
            full.set()
        await room.acquire()
        return entry["prompt"]

    await add(redis, 10 * WINDOW)
    processor = BatchProcessor(wait, max_concurrency=LANES)
    consuming = asyncio.create_task(consumer.consume(redis, "consumer", processor))
    async with asyncio.timeout(PATIENCE):
        await full.wait()
        stored = answers(redis)
        for _ in range(3 * WINDOW):
            assert await pending(redis) <= WINDOW + COUNT
            room.release()
            await anext(stored)
    await stopped(consuming)


async def test_a_consumer_that_waits_for_entries_can_be_cancelled_and_its_entries_claimed(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry_id,) = await add(redis, 1)
    began, never = asyncio.Event(), asyncio.Event()

    async def wait(entry: dict[str, str]) -> None:
        began.set()
        await never.wait()

    consuming = asyncio.create_task(consumer.consume(redis, "first", BatchProcessor(wait)))
    async with asyncio.timeout(PATIENCE):
        await began.wait()
        # It waits for the next entry in a read that would block.
        while not any(client["cmd"] == "xreadgroup" for client in await redis.client_list()):
            pass
        await stopped(consuming)
        monkeypatch.setattr(consumer, "ABANDONED", 0)
        consuming = asyncio.create_task(consumer.consume(redis, "second", BatchProcessor(len)))
        assert await anext(answers(redis)) == {"id": entry_id, "answer": "2"}
    await stopped(consuming)


async def stopped(consuming: asyncio.Task[Any]) -> None:
    """Cancel a consumer, after which no task is left."""
    consuming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consuming
    assert_only_the_caller_runs()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_app_as_it_is_printed_answers_what_it_has_read_and_ends(
    redis: Redis, redis_server: RedisServer, number: signal.Signals
) -> None:
    quick = await redis.xadd(PROMPTS, {"prompt": "a"})
    slow = await redis.xadd(PROMPTS, {"prompt": "a longer one"})
    with interruptible(), start_app("consumer", {"redis://localhost": redis_server.url}) as app:
        async with asyncio.timeout(PATIENCE):
            stored = answers(redis)
            assert await anext(stored) == {"id": quick, "answer": "A"}
            app.running.send_signal(number)  # while the other one, read with it, is in work
            assert await anext(stored) == {"id": slow, "answer": "A LONGER ONE"}
            assert await asyncio.to_thread(app.end) == 0
    assert app.said == []
    assert await pending(redis) == 0


async def test_a_second_ctrl_c_ends_it_at_once_and_leaves_its_entries_to_others(
    redis: Redis, redis_server: RedisServer
) -> None:
    await redis.xadd(PROMPTS, {"prompt": "a"})
    await redis.xadd(PROMPTS, {"prompt": "long " * 1_000})
    with interruptible(), start_app("consumer", {"redis://localhost": redis_server.url}) as app:
        async with asyncio.timeout(PATIENCE):
            await anext(answers(redis))
            while app.running.poll() is None:
                app.running.send_signal(signal.SIGINT)
                await asyncio.sleep(0.1)
            await asyncio.to_thread(app.end)
    assert app.said[-1] == "KeyboardInterrupt\n"
    assert await pending(redis) == 1
