"""Runs and the threads around them: callbacks that come from one, and loops that live in one."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import pytest
import reactivex as rx
from reactivex import abc
from reactivex.disposable import Disposable

from nadoo_flow import BatchProcessor, MapNode

from ..stand_ins import assert_only_the_caller_runs
from .processes import PATIENCE

Callback = Callable[[int], None]


class Driver:
    """Calls back from threads of its own until it is stopped."""

    def __init__(self, threads: int) -> None:
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._measure, args=[n]) for n in range(threads)]
        self.called_back: Callback | None = None

    def start(self, callback: Callback) -> None:
        self.called_back = callback
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopped.set()

    def _measure(self, number: int) -> None:
        assert self.called_back is not None
        while not self.stopped.wait(0.001):
            self.called_back(number)
            number += len(self.threads)

    def readings(self) -> rx.Observable[int]:
        """Start with the subscription, and stop when nobody is subscribed any more."""

        def subscribe(
            observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self.start(observer.on_next)
            return Disposable(self.stop)

        return rx.create(subscribe)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.mark.asyncio(loop_factories=["real"])
async def test_callbacks_from_many_threads_reach_a_run_and_end_with_it() -> None:
    driver = Driver(threads=4)
    seen: Counter[int] = Counter()
    async with (
        asyncio.timeout(PATIENCE),
        MapNode("double", lambda number: number * 2).stream(driver.readings()) as doubled,
    ):
        async for number in doubled:
            seen[number] += 1
            if seen.keys() >= set(range(0, 1_000, 2)):
                break
    assert driver.stopped.is_set()
    driver.join()
    assert set(seen.values()) == {1}
    assert_only_the_caller_runs()


@contextmanager
def loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread, and end it as the manual does."""
    started: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = SimpleQueue()

    async def live() -> None:
        stop = asyncio.Event()
        started.put((asyncio.get_running_loop(), stop))
        await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    loop, stop = started.get()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Patient:
    """A node that waits to be cancelled, and needs a moment to end."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[str] = SimpleQueue()
        self.ended: SimpleQueue[str] = SimpleQueue()

    async def __call__(self, prompt: str) -> str:
        self.begun.put(prompt)
        if prompt.startswith("quick"):
            return prompt
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0.01)
            self.ended.put(prompt)


async def show(processor: BatchProcessor, prompts: list[str], shown: Callable[[Any], None]) -> None:
    async with processor.batch_as_completed(prompts) as results:
        async for result in results:
            shown(result.output)


def taken(queue: SimpleQueue[str], count: int) -> list[str]:
    """Take from a queue what other threads put there."""
    return sorted(queue.get(timeout=PATIENCE) for _ in range(count))


def test_a_run_in_the_loop_of_another_thread_hands_results_over_as_they_come() -> None:
    node, arrived = Patient(), SimpleQueue[str]()
    processor = BatchProcessor(node)
    with loop_in_a_thread() as loop:
        prompts = ["quick 1", "slow 1", "quick 2", "slow 2"]
        running = asyncio.run_coroutine_threadsafe(show(processor, prompts, arrived.put), loop)
        assert taken(arrived, 2) == ["quick 1", "quick 2"]
        assert not running.done()
        running.cancel()
        assert taken(node.ended, 2) == ["slow 1", "slow 2"]
    with pytest.raises(CancelledError):
        running.result()
    assert arrived.empty()


def test_a_loop_that_ends_in_its_thread_cancels_its_runs_and_waits_for_their_nodes() -> None:
    node, arrived = Patient(), SimpleQueue[str]()
    processor = BatchProcessor(node)
    with loop_in_a_thread() as loop:
        running = asyncio.run_coroutine_threadsafe(
            show(processor, ["slow 1", "slow 2"], arrived.put), loop
        )
        taken(node.begun, 2)
    # Without a wait: the thread has ended.
    assert sorted(node.ended.get_nowait() for _ in range(2)) == ["slow 1", "slow 2"]
    assert running.cancelled()


def test_one_processor_serves_many_threads_and_many_loops() -> None:
    processor = BatchProcessor(lambda number: number * 2, max_concurrency=3)
    outputs: dict[int, list[int]] = {}

    def ask(loop: asyncio.AbstractEventLoop, number: int) -> None:
        inputs = range(number * 100, number * 100 + 100)
        results = asyncio.run_coroutine_threadsafe(processor.batch(inputs), loop).result(PATIENCE)
        outputs[number] = results.outputs

    with loop_in_a_thread() as first, loop_in_a_thread() as second:
        threads = [
            threading.Thread(target=ask, args=[(first, second)[number % 2], number])
            for number in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert outputs == {n: [2 * x for x in range(n * 100, n * 100 + 100)] for n in range(20)}
