"""assert_nothing_left: it finds what is left, and nothing else."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from nadoo_flow import BatchProcessor
from nadoo_flow.testing import LeftoverError, assert_nothing_left


def numbers() -> Iterator[int]:
    yield 1
    yield 2


async def ticks() -> AsyncIterator[int]:
    yield 1
    yield 2


async def wait() -> None:
    await asyncio.Event().wait()


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_what_has_ended_is_not_left() -> None:
    with assert_nothing_left():
        await asyncio.create_task(asyncio.sleep(1))
        await asyncio.to_thread(threading.get_ident)
        thread = threading.Thread(target=threading.get_ident)
        thread.start()
        thread.join()
        assert list(numbers()) == [1, 2]
        assert [tick async for tick in ticks()] == [1, 2]
        async with BatchProcessor(repr).batch_as_completed(numbers()) as results:
            await anext(results)


async def test_what_was_there_before_does_not_count() -> None:
    open_generator, open_ticks = numbers(), ticks()
    next(open_generator)
    await anext(open_ticks)
    task = asyncio.create_task(wait())
    with assert_nothing_left():
        next(open_generator)
    await open_ticks.aclose()
    await end(task)


async def test_a_generator_that_was_only_made_is_not_left() -> None:
    with assert_nothing_left():
        made, ticking = numbers(), ticks()
    made.close()
    await ticking.aclose()


async def test_tasks_are_named_with_the_places_where_they_wait() -> None:
    with pytest.raises(LeftoverError) as caught, assert_nothing_left():
        tasks = [asyncio.create_task(wait(), name=name) for name in ("b", "a")]
        await asyncio.sleep(0)
    title, first, second = str(caught.value).splitlines()
    assert title == "left behind:"
    assert first.startswith("  task 'a' waits in wait (testing/test_leftovers.py:")
    assert second.startswith("  task 'b' waits in wait (")
    await end(*tasks)


def test_threads_are_named() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, name="disk")
    with pytest.raises(LeftoverError, match=r"^left behind:\n  thread 'disk'$"):  # noqa: SIM117
        with assert_nothing_left():
            thread.start()
    ended.set()
    thread.join()


@pytest.mark.slow
def test_processes_are_named() -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=time.sleep, args=[60], name="worker", daemon=True)
    with pytest.raises(LeftoverError, match="process 'worker'"), assert_nothing_left():
        process.start()
    process.kill()
    process.join()


async def test_open_generators_are_named_with_their_lines() -> None:
    given = numbers()
    with pytest.raises(LeftoverError) as caught, assert_nothing_left():
        next(given)
        ticking = ticks()
        await anext(ticking)
    _, first, second = str(caught.value).splitlines()
    line = ticks.__code__.co_firstlineno + 1
    place = f"ticks (testing/test_leftovers.py:{line})"
    assert first == f"  async generator that has stopped at {place}"
    assert second.startswith("  generator that has stopped at numbers (")
    given.close()
    await ticking.aclose()


async def test_garbage_is_not_left() -> None:
    with assert_nothing_left():
        cycle: list[object] = [numbers()]
        next(cycle[0])  # type: ignore[call-overload]
        cycle.append(cycle)
        del cycle


async def test_the_error_of_the_block_passes_with_a_note() -> None:
    with pytest.raises(KeyError) as caught, assert_nothing_left():
        task = asyncio.create_task(wait(), name="a")
        await asyncio.sleep(0)
        raise KeyError
    (note,) = caught.value.__notes__
    assert note.startswith("left behind:\n  task 'a'")
    await end(task)
    with pytest.raises(KeyError) as caught, assert_nothing_left():
        raise KeyError
    assert not hasattr(caught.value, "__notes__")


async def test_a_block_may_be_cancelled() -> None:
    async def block() -> None:
        with assert_nothing_left():
            await wait()

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
