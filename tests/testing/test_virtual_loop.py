"""The loop that the other tests rely on."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import retry
from nadoo_flow.testing import DeadlockError, VirtualTimeLoop, advance, virtual_loop, virtual_time

from ..streams.runs import in_virtual_time


async def test_a_day_passes_at_once() -> None:
    await asyncio.sleep(86_400)
    assert asyncio.get_running_loop().time() == 86_400


async def test_timers_fire_in_order_at_their_exact_times() -> None:
    loop, fired = asyncio.get_running_loop(), []
    for delay in (3, 1, 2):
        loop.call_later(delay, lambda: fired.append(loop.time()))
    await asyncio.sleep(4)
    assert fired == [1, 2, 3]


async def test_work_can_take_time_without_suspending() -> None:
    advance(0.5)
    assert asyncio.get_running_loop().time() == 0.5


@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_test_can_have_a_real_loop() -> None:
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    with pytest.raises(RuntimeError, match=r"make it with loop_factory=virtual_time$"):
        advance(1)


def test_virtual_time_is_a_loop_factory() -> None:
    async def retry_for_an_hour() -> float:
        node = FunctionNode(fail).pipe(retry(13, wait=300))
        await BatchProcessor(node).batch([1])
        return asyncio.get_running_loop().time()

    def fail(_: object) -> None:
        raise OSError

    with asyncio.Runner(loop_factory=virtual_time) as runner:
        assert runner.run(retry_for_an_hour()) == 3600


async def test_a_thread_that_works_has_real_time() -> None:
    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()


def test_threads_have_real_time_when_the_loop_is_closed() -> None:
    done: list[str] = []

    def work() -> None:
        time.sleep(0.05)
        done.append("done")

    async def leave_behind() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)

    in_virtual_time(leave_behind)
    assert done == ["done"]


async def wait_for_ever(_: object = None) -> None:
    await asyncio.get_running_loop().create_future()


async def queue() -> None:
    await asyncio.Queue[int]().get()


async def stand_still_in_two_tasks() -> None:
    waiting = asyncio.create_task(queue(), name="consumer")
    await wait_for_ever()
    await waiting


async def iterate() -> None:
    async def numbers() -> Any:
        yield 1
        await wait_for_ever()

    async for _ in numbers():
        pass


async def run_a_batch() -> None:
    await BatchProcessor(FunctionNode(wait_for_ever).pipe(retry())).batch([1])


@pytest.mark.parametrize(
    ("main", "places"),
    [
        (wait_for_ever, ["wait_for_ever"]),
        (stand_still_in_two_tasks, ["'consumer' waits in queue", "Queue.get", "wait_for_ever"]),
        (iterate, ["iterate.<locals>.numbers", "wait_for_ever"]),
        (run_a_batch, ["waits in wait_for_ever", "waits in run_a_batch"]),
    ],
)
def test_a_deadlock_is_an_error_that_says_who_waits_and_where(main: Any, places: list[str]) -> None:
    with pytest.raises(DeadlockError) as caught:
        in_virtual_time(main)
    text = str(caught.value)
    assert text.startswith("every task waits, and no timer will ever wake one:\n  task ")
    for place in places:
        assert place in text
    line = wait_for_ever.__code__.co_firstlineno + 1
    assert f"wait_for_ever (testing/{__file__.rpartition('/')[2]}:{line})" in text


def test_a_package_whose_name_begins_as_this_one_is_no_part_of_it() -> None:
    path = Path(virtual_loop.__file__).parents[1].with_name("nadoo_flow_nodes") / "ask.py"
    namespace: dict[str, Any] = {"wait_for_ever": wait_for_ever}
    exec(compile("async def ask(): await wait_for_ever()", path, "exec"), namespace)
    with pytest.raises(DeadlockError, match=r"waits in ask \(nadoo_flow_nodes/ask.py:1\) > wait_f"):
        in_virtual_time(namespace["ask"])


def test_a_loop_may_be_given_up_that_turns_for_ever() -> None:
    cleaned = False

    async def turn_for_ever() -> None:
        nonlocal cleaned
        try:
            for _ in count():
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            cleaned = True

    with (
        pytest.raises(DeadlockError, match=r"^no end after 100 turns of the loop:\n  task "),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(max_turns=100)) as runner,
    ):
        runner.run(turn_for_ever())
    assert cleaned


async def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match=r"^seconds must not be negative, got -1$"):
        advance(-1)
    assert asyncio.get_running_loop().time() == 0


def test_a_deadlock_beside_a_thread_is_one_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_loop, "PATIENCE", 0.05)
    loop, ended = VirtualTimeLoop(), threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    with pytest.raises(DeadlockError, match="no task is left"):
        loop.run_forever()
    ended.set()
    thread.join()
    loop.close()
