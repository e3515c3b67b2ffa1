"""The worker: a bundle on the event loop of its thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from hashlib import sha256
from pickle import UnpicklingError
from typing import Any

import pytest

from nadoo_flow import BaseNode, FunctionNode, MapNode, NodeResult, WorkflowContext
from nadoo_flow.executors.packed_input import pack_input
from nadoo_flow.executors.packed_result import unpack_result
from nadoo_flow.executors.wire import pack
from nadoo_flow.executors.worker import KEPT_NODES, Answer, execute_packed, pack_bundle, run_bundle
from nadoo_flow.executors.worker_loop import WorkerLoop
from nadoo_flow.policies import retry

from ..stand_ins import describe_failure, slowly


class Worker:
    """A thread in which bundles run."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1)

    def answer(self, node: Any, *items: Any, along: bool = True) -> Answer:
        """Run the items of a bundle; the node travels along or is known already."""
        node = node if isinstance(node, BaseNode) else FunctionNode(node)
        data = pack(node, "the node")
        digest = sha256(data).digest()
        payloads = [pack_input(item, WorkflowContext()) for item in items]
        nodes = {digest: data} if along else {}
        bundle = pack_bundle(nodes, [(digest, payload) for payload in payloads])
        return Answer(*pickle.loads(self.executor.submit(run_bundle, 1, bundle).result(60)))

    def results(self, node: Any, *items: Any) -> list[NodeResult]:
        return [unpack_result(packed) for packed in self.answer(node, *items).results]

    def outputs(self, node: Any, *items: Any) -> list[Any]:
        return [result.output for result in self.results(node, *items)]


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.executor.shutdown()


def test_the_calls_of_a_bundle_run_concurrently(worker: Worker) -> None:
    class Meeting(BaseNode):
        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            loop: Any = asyncio.get_running_loop()
            here = loop.__dict__.setdefault("here", asyncio.Barrier(3))
            return NodeResult(True, await here.wait())

    assert sorted(worker.outputs(Meeting(), "a", "b", "c")) == [0, 1, 2]


def test_a_thread_keeps_its_loop_and_its_nodes(worker: Worker) -> None:
    node = Connected()
    other = Worker()
    assert worker.outputs(node, 1, 2) == [(True, True), (False, True)]
    assert worker.outputs(node, 3) == [(False, True)]
    assert other.outputs(node, 4) == [(True, True)]
    other.executor.shutdown()


def test_a_node_that_is_not_known_is_asked_for(worker: Worker) -> None:
    asked = worker.answer(abs, -1, along=False)
    assert (len(asked.missing), asked.results) == (1, ())
    assert worker.outputs(abs, -1) == [1]
    assert worker.answer(abs, -1, along=False).missing == ()


def test_nodes_are_forgotten_when_others_have_been_used_since(worker: Worker) -> None:
    def adding(number: int) -> Callable[[int], int]:
        return lambda n: n + number

    functions = [adding(number) for number in range(KEPT_NODES + 1)]
    for function in functions[:-1]:
        worker.answer(function, 1)
    assert worker.answer(functions[0], 1, along=False).missing == ()
    worker.answer(functions[-1], 1)
    assert worker.answer(functions[0], 1, along=False).missing == ()
    assert len(worker.answer(functions[1], 1, along=False).missing) == 1


def test_context_variables_are_isolated(worker: Worker) -> None:
    assert worker.outputs(visit, "a", "b") == ["nobody", "nobody"]
    assert worker.outputs(visit, "c") == ["nobody"]


@pytest.mark.slow
def test_work_counts_and_waiting_does_not(worker: Worker) -> None:
    assert worker.answer(time.sleep, 0.05, 0.05).busy >= 0.1
    answer = worker.answer(slowly, 2.0, 2.0)
    assert answer.busy < 1 < answer.idle


def test_a_list_stage_runs_inside(worker: Worker) -> None:
    stage = MapNode("map", slowly, "item", "out")
    assert worker.outputs(stage, [0.0, 0.01]) == [{"out": [0.0, 0.01]}]


def test_tasks_that_a_node_leaves_behind_are_cancelled_and_awaited(worker: Worker) -> None:
    assert worker.outputs(leave_a_task, 1, 2) == ["left", "left"]
    assert CLEANED == ["cleaned", "cleaned"]
    CLEANED.clear()


def test_an_interrupt_in_a_task_of_a_nodes_own_fails_what_has_not_ended(worker: Worker) -> None:
    results = worker.results(interrupted_inside, 0.0, 3600.0)
    assert [result.success for result in results] == [True, False]
    assert results[1].error == "KeyboardInterrupt"
    # The loop goes on working.
    assert worker.outputs(slowly, 0.0) == [0.0]


def test_a_stray_cancellation_fails_its_item_alone(worker: Worker) -> None:
    def work(item: int) -> int:
        if item:
            raise asyncio.CancelledError("stray")
        return item

    assert [result.error for result in worker.results(work, 0, 1)] == [
        None,
        "CancelledError: stray",
    ]


@pytest.mark.parametrize("swallows", [False, True])
def test_rule_r26_a_node_that_cancels_its_own_task_fails_alone(
    worker: Worker, swallows: bool
) -> None:
    async def work(item: int) -> int:
        if item == 1:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            with suppress(asyncio.CancelledError if swallows else ()):
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        return item

    results = worker.results(work, 0, 1, 2)
    assert [result.error for result in results] == [
        None,
        None if swallows else "CancelledError",
        None,
    ]
    assert (results[0].output, results[2].output) == (0, 2)


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, SystemExit, BaseException])
@pytest.mark.parametrize("late", [False, True])
def test_rule_r26_a_node_that_raises_what_no_node_should_fails_alone(
    worker: Worker, error: type[BaseException], late: bool
) -> None:
    async def work(item: int) -> int:
        if late:
            await asyncio.sleep(0)
        if item == 1:
            raise error("odd")
        await asyncio.sleep(0.01)
        return item

    results = worker.results(work, 0, 1, 2)
    assert [result.error for result in results] == [None, f"{error.__name__}: odd", None]
    assert type(results[1].exception) is error


def test_rule_r26_a_generator_exit_that_a_future_gives_fails_its_item_alone(
    worker: Worker,
) -> None:
    async def work(item: int) -> int:
        if item == 1:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            loop.call_soon(future.set_exception, GeneratorExit("odd"))
            await future
        await asyncio.sleep(0.01)
        return item

    results = worker.results(work, 0, 1, 2)
    assert [result.success for result in results] == [True, False, True]
    assert isinstance(results[1].exception, RuntimeError)


def test_rule_r26_a_policy_in_a_worker_tries_again_whatever_was_raised(worker: Worker) -> None:
    async def work(item: int) -> int:
        TRIES.append(item)
        if len(TRIES) == 1:
            raise GeneratorExit("odd")
        return item

    node = FunctionNode(work).pipe(retry(2, wait=0, retry_on=BaseException))
    assert [result.output for result in worker.results(node, 1)] == [1]


def test_rule_r26_a_cancel_reaches_what_is_left_behind_in_a_timeout_that_unwinds(
    worker: Worker,
) -> None:
    assert worker.outputs(leave_unwinding, 1) == [1]
    assert worker.executor.submit(lambda: KEPT.pop().cancelled()).result()


def test_rule_r26_what_is_left_behind_and_swallows_its_cancel_is_not_waited_for_long(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nadoo_flow.executors.worker_loop.PATIENCE", 0.05)

    with caplog.at_level(logging.WARNING):
        assert worker.outputs(leave_stubborn, 1) == [1]
        assert worker.outputs(abs, -1) == [1]  # and not a second time
    assert caplog.text.count("goes on after it was cancelled") == 1
    STOP.append(True)
    assert worker.outputs(slowly, 0.05) == [0.05]
    assert KEPT.pop().done()
    STOP.clear()


@pytest.mark.parametrize("error", [GeneratorExit, SystemExit, asyncio.CancelledError])
def test_rule_r26_what_raises_as_it_is_unpickled_fails_its_items_alone(
    worker: Worker, error: type[BaseException]
) -> None:
    class Odd(BaseNode):
        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            return NodeResult(True)

        def __reduce__(self) -> Any:
            return raise_it, (error,)

    (result,) = worker.results(Odd(), 1)
    assert result.error == (f"UnpicklingError: the node cannot be unpickled: {error.__name__}: odd")


def test_a_wrong_answer_fails_its_item_alone(worker: Worker) -> None:
    class Wrong(BaseNode):
        async def execute(self, node_context: Any, workflow_context: Any) -> Any:
            item = node_context.input_data["item"]
            return NodeResult(True, item) if item else {"a": "dict"}

    errors = [result.error for result in worker.results(Wrong(), 0, 1)]
    assert errors == ["TypeError: expected NodeResult, got dict", None]


def test_a_node_that_cannot_be_unpickled_fails_its_items(worker: Worker) -> None:
    class Broken(BaseNode):
        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            return NodeResult(True)

        def __reduce__(self) -> Any:
            return int, ("no number",)

    for result in [*worker.results(Broken(), 1, 2), *worker.results(Broken(), 3)]:
        failure = describe_failure(lambda: int("no number"))
        assert result.error == f"UnpicklingError: the node cannot be unpickled: {failure}"
        assert isinstance(result.exception, UnpicklingError)


async def test_a_loop_can_be_collected_where_another_one_runs() -> None:
    loop = WorkerLoop()
    data = pack_input(1, WorkflowContext())
    work = execute_packed(FunctionNode(abs), data)
    with ThreadPoolExecutor(1) as thread:
        result = await asyncio.wrap_future(thread.submit(loop.run, work))
    assert result.output == 1
    inner = loop._runner.get_loop()
    del loop
    gc.collect()  # what it raises there fails the test
    assert inner.is_closed()


class Connected(BaseNode):
    loop: Any = None

    async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
        first = self.loop is None
        self.loop = self.loop or asyncio.get_running_loop()
        return NodeResult(True, (first, self.loop is asyncio.get_running_loop()))


TRIES: list[int] = []
KEPT: list[asyncio.Task[None]] = []
STOP: list[bool] = []


async def leave_unwinding(item: int) -> int:
    async def again_and_again() -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    try:
                        await asyncio.sleep(3600)
                    finally:
                        await asyncio.sleep(0.1)

    KEPT.append(asyncio.create_task(again_and_again()))
    await asyncio.sleep(0.05)  # it is in its clean-up
    return item


async def leave_stubborn(item: int) -> int:
    async def forever() -> None:
        while not STOP:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    KEPT.append(asyncio.create_task(forever()))
    await asyncio.sleep(0)
    return item


def raise_it(error: type[BaseException]) -> None:
    raise error("odd")


user: ContextVar[str] = ContextVar("user", default="nobody")
CLEANED: list[str] = []


def visit(name: str) -> str:
    before = user.get()
    user.set(name)
    return before


async def leave_a_task(_: Any) -> str:
    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            CLEANED.append("cleaned")

    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    return "lost" if task.done() else "left"


async def interrupted_inside(seconds: float) -> None:
    async def interrupt() -> None:
        raise KeyboardInterrupt

    if seconds:
        task = asyncio.create_task(interrupt())
        await asyncio.sleep(seconds)
        task.cancel()
