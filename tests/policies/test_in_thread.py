"""Functions that block, called in threads."""

from __future__ import annotations

import asyncio
import gc
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    WorkflowContext,
)
from nadoo_flow.policies import in_thread, retry, thread_pool, timeout

from ..stand_ins import double, raised_by, slowly

real = pytest.mark.asyncio(loop_factories=["real"])

PATIENCE = 20


class Gates:
    """A function that blocks until it is let on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: set[Any] = set()
        self.begun: list[Any] = []
        self.at_work = self.peak = 0
        self.threads: set[int] = set()

    def __call__(self, item: Any) -> Any:
        with self._changed:
            self.begun.append(item)
            self.threads.add(threading.get_ident())
            self.at_work += 1
            self.peak = max(self.peak, self.at_work)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: item in self._open, PATIENCE)
            self.at_work -= 1
            self._changed.notify_all()
        return item

    def open(self, *items: Any) -> None:
        with self._changed:
            self._open.update(items)
            self._changed.notify_all()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait without a use of the loop until something is so."""

        def wait() -> None:
            with self._changed:
                assert self._changed.wait_for(condition, PATIENCE)

        await asyncio.get_running_loop().run_in_executor(None, wait)


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("nadoo_flow-")]


async def wait_until_no_thread_is_left() -> None:
    for thread in our_threads():
        await asyncio.get_running_loop().run_in_executor(None, thread.join, PATIENCE)
    assert not our_threads()


@real
async def test_as_many_items_block_at_a_time_as_the_run_has_in_work() -> None:
    gates = Gates()
    processor = BatchProcessor(FunctionNode(gates).pipe(in_thread()), max_concurrency=4)
    batch = asyncio.create_task(processor.batch(range(12)))
    await gates.wait_for(lambda: gates.at_work == 4)
    gates.open(*range(12))
    assert (await batch).outputs == list(range(12))
    assert (gates.peak, len(gates.threads)) == (4, 4)
    await wait_until_no_thread_is_left()


@real
async def test_or_as_max_workers_says() -> None:
    gates = Gates()
    processor = BatchProcessor(FunctionNode(gates).pipe(in_thread(2)), max_concurrency=5)
    batch = asyncio.create_task(processor.batch(range(6)))
    await gates.wait_for(lambda: gates.at_work == 2)
    gates.open(*range(6))
    assert (await batch).outputs == list(range(6))
    assert (gates.peak, len(gates.threads)) == (2, 2)


@real
async def test_the_loop_goes_on_meanwhile() -> None:
    gates = Gates()
    node = FunctionNode(gates).pipe(in_thread())
    running = asyncio.create_task(node.run(1))
    await gates.wait_for(lambda: gates.at_work == 1)
    for _ in range(100):
        await asyncio.sleep(0)
    gates.open(1)
    assert await running == 1
    await wait_until_no_thread_is_left()


@real
async def test_a_function_gets_what_it_would_get_without() -> None:
    seen: list[Any] = []
    await MapNode("map", FunctionNode(seen.append).pipe(in_thread())).run(
        {"items": [1, {"item": 2}, {"a": 3}]}
    )
    assert sorted(map(repr, seen)) == ["1", "2", "{'a': 3}"]


@real
async def test_its_context_variables_are_those_of_the_item() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    variable.set("around")

    def read_and_write(item: int) -> str:
        before = variable.get()
        variable.set(f"item {item}")
        return before

    node = FunctionNode(read_and_write).pipe(in_thread(1))
    assert (await BatchProcessor(node).batch(range(3))).outputs == ["around"] * 3
    assert variable.get() == "around"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "ValueError: no"),
        (StopIteration("no"), "RuntimeError: the function raised StopIteration"),
        (GeneratorExit("no"), "RuntimeError: what was awaited raised GeneratorExit"),
        (asyncio.CancelledError("no"), "CancelledError: no"),
    ],
)
@real
async def test_what_it_raises_fails_the_item(error: BaseException, text: str) -> None:
    def fail(item: int) -> None:
        raise error

    (result,) = await BatchProcessor(FunctionNode(fail).pipe(in_thread())).batch([1])
    assert result.error == text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@real
async def test_what_is_fatal_ends_the_run(error: type[BaseException]) -> None:
    def fail(item: int) -> None:
        raise error

    batch = BatchProcessor(FunctionNode(fail).pipe(in_thread())).batch([1])
    with pytest.raises(error):
        await batch
    await wait_until_no_thread_is_left()


@real
async def test_what_can_be_awaited_is_awaited_on_the_loop() -> None:
    node = FunctionNode(lambda item: slowly(0)).pipe(in_thread())
    assert await node.run(1) == 0
    answered = FunctionNode(lambda item: NodeResult(True, item, metadata={"a": 1}))
    (result,) = await BatchProcessor(answered.pipe(in_thread())).batch([7])
    assert (result.output, result.metadata) == (7, {"a": 1})


@real
async def test_an_item_that_is_cancelled_ends_at_once_and_the_run_with_the_call() -> None:
    gates = Gates()
    node = FunctionNode(gates).pipe(in_thread(), timeout(0.2))
    batch = asyncio.create_task(BatchProcessor(node, max_concurrency=1).batch([1, 2]))
    await gates.wait_for(lambda: gates.begun == [1, 2])
    gates.open(1, 2)
    errors = [result.error for result in await batch]
    assert errors[0] == "TimeoutError: not finished within 0.2 s"
    assert gates.at_work == 0


@real
async def test_a_call_that_has_not_begun_is_not_made_after_a_cancel() -> None:
    gates = Gates()
    node = FunctionNode(gates).pipe(in_thread(1))
    batch = asyncio.create_task(BatchProcessor(node, max_concurrency=3).batch(range(3)))
    await gates.wait_for(lambda: gates.begun == [0])
    batch.cancel()
    await asyncio.sleep(0)
    gates.open(0, 1, 2)
    assert isinstance(await raised_by(batch), asyncio.CancelledError)
    assert gates.begun == [0]
    await wait_until_no_thread_is_left()


@real
async def test_a_call_that_was_cancelled_before_it_began_is_forgotten_at_once() -> None:
    gates = Gates()
    pool = thread_pool.ThreadPool(1)
    begun = asyncio.create_task(pool.call(gates, 0))
    await gates.wait_for(lambda: gates.begun == [0])
    value = threading.Event()  # of a type that can be referred to weakly
    alive = weakref.ref(value)
    cancelled = asyncio.create_task(pool.call(gates, value))
    del value
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    del cancelled
    gc.collect()
    assert alive() is None
    gates.open(0)
    assert await begun == 0
    await pool.stop()
    await wait_until_no_thread_is_left()


@real
async def test_a_call_of_a_helper_task_that_has_not_begun_is_cancelled_with_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thread_pool, "GRACE", 0.01)
    gates = Gates()
    blocking = FunctionNode(gates).pipe(in_thread(1))
    helpers: list[asyncio.Task[Any]] = []

    async def leave_helpers(item: int) -> None:
        helpers.extend(asyncio.create_task(blocking.run(each)) for each in range(2))
        await gates.wait_for(lambda: gates.begun == [0])

    await BatchProcessor(FunctionNode(leave_helpers)).batch([1])
    gates.open(0, 1)
    ended, _ = await asyncio.wait(helpers, timeout=PATIENCE)
    assert len(ended) == 2
    assert gates.begun == [0]
    await wait_until_no_thread_is_left()


@real
async def test_threads_end_also_if_the_wait_for_them_is_cancelled() -> None:
    gates = Gates()
    run = asyncio.create_task(FunctionNode(gates).pipe(in_thread()).run(0))
    await gates.wait_for(lambda: gates.begun == [0])
    run.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    run.cancel()
    assert isinstance(await raised_by(run), asyncio.CancelledError)
    gates.open(0)
    await wait_until_no_thread_is_left()


@real
async def test_where_no_thread_can_be_started_the_item_fails_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = FunctionNode(double).pipe(in_thread(1))

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def refuse_first(item: int) -> int:
        with monkeypatch.context() as patch:
            if item == 0:
                patch.setattr(threading.Thread, "start", refuse)
            await node.run(item)
        return item

    async with asyncio.timeout(PATIENCE):
        results = await BatchProcessor(FunctionNode(refuse_first), max_concurrency=1).batch(
            range(3)
        )
    assert [result.success for result in results] == [False, True, True]
    assert "can't start new thread" in str(results[0].error)
    await wait_until_no_thread_is_left()


@real
async def test_the_end_of_a_run_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(thread_pool, "GRACE", 0.01)
    gates = Gates()
    node = FunctionNode(gates).pipe(in_thread(), timeout(0.01))
    (result,) = await BatchProcessor(node).batch([1])
    assert (result.success, gates.at_work) == (False, 1)
    assert "a thread is still busy with an item that was cancelled" in caplog.text
    gates.open(1)
    await wait_until_no_thread_is_left()


@real
async def test_calls_inside_a_node_of_a_run_share_its_threads() -> None:
    gates = Gates()
    gates.open(*range(20))
    inner = FunctionNode(gates).pipe(in_thread())

    class Outer(BaseNode):
        async def execute(
            self, node_context: NodeContext, workflow_context: WorkflowContext
        ) -> NodeResult:
            return NodeResult(True, await inner.run(node_context.input_data))

    results = await BatchProcessor(Outer(), max_concurrency=2).batch(range(20))
    assert results.outputs == list(range(20))
    assert len(gates.threads) <= 2
    await wait_until_no_thread_is_left()


@real
async def test_a_copy_for_another_process_has_no_threads() -> None:
    node = FunctionNode(double).pipe(in_thread(), retry(2))
    assert (await BatchProcessor(node).batch([1])).outputs == [2]
    copy = pickle.loads(pickle.dumps(FunctionNode(double).pipe(in_thread())))
    assert (await BatchProcessor(copy).batch([1])).outputs == [2]


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (slowly, r"^in_thread\(\) is for functions that block and return something, got "),
        (lambda item: (yield item), r"^in_thread\(\) is for functions that block and return "),
        (FunctionNode(double).pipe(retry(2)), r"^in_thread\(\) must be the first policy around "),
        (MapNode("map", double), r"^in_thread\(\) must be the first policy around a function"),
    ],
)
def test_it_is_refused_around_what_it_could_not_call(node: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        in_thread()(node)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2"])
def test_max_workers_is_a_positive_number(workers: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^max_workers must be "):
        in_thread(workers)


PROGRAM = """
import asyncio, threading
from nadoo_flow import BatchProcessor, FunctionNode
from nadoo_flow.policies import in_thread, thread_pool, timeout

thread_pool.GRACE = 0.01
block = threading.Event().wait
node = FunctionNode(lambda item: block()).pipe(in_thread(), timeout(0.01))
print(asyncio.run(BatchProcessor(node).batch([1]))[0].error)
"""


@pytest.mark.slow
def test_a_thread_that_never_ends_does_not_keep_the_program() -> None:
    run = partial(subprocess.run, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert run([sys.executable, "-c", PROGRAM]).stdout == (
        "TimeoutError: not finished within 0.01 s\n"
    )
