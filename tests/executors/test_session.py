"""An executor that a function makes lives from its first user to its last, whatever happens."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from nadoo_flow import BaseNode, BatchProcessor, BatchResults, FunctionNode, NodeResult
from nadoo_flow.executors import ExecutorLost, on
from nadoo_flow.executors.worker import KEPT_NODES

from ..stand_ins import assert_only_the_caller_runs, double, now, raised_by
from .helpers import ByHand, turns, until


class Makes:
    """Makes executors, and remembers them."""

    def __init__(self) -> None:
        self.made: list[ByHand] = []

    def __call__(self) -> ByHand:
        self.made.append(ByHand())
        return self.made[-1]


def batch(node: Any, items: int) -> asyncio.Task[BatchResults]:
    return asyncio.create_task(BatchProcessor(node, 100).batch(range(items)))


def has_sent_to(make: Makes, number: int) -> bool:
    return len(make.made) == number and make.made[-1].sizes == [1]


class TestAnExecutorThatAFunctionMakes:
    async def test_is_shared_by_runs_at_the_same_time_and_ends_with_the_last(self) -> None:
        make = Makes()
        policy = on(make, chunk=1)
        first = batch(FunctionNode(double).pipe(policy), 1)
        await until(lambda: bool(make.made) and make.made[0].sizes == [1])
        second = batch(FunctionNode(str, "str").pipe(policy), 1)
        await until(lambda: make.made[0].sizes == [1, 1])
        make.made[0].do(0)
        assert [result.output for result in await first] == [0]
        assert not make.made[0].is_shut_down
        make.made[0].do(1)
        assert [result.output for result in await second] == ["0"]
        assert len(make.made) == 1
        assert make.made[0].is_shut_down
        assert_only_the_caller_runs()

    async def test_is_another_one_for_a_later_run(self) -> None:
        make = Makes()
        node = FunctionNode(double).pipe(on(make))
        for number in (1, 2):
            run = asyncio.create_task(node.run(number))
            await until(partial(has_sent_to, make, number))
            make.made[-1].do(0)
            assert await run == 2 * number

    async def test_is_shut_down_when_it_comes_after_its_run_was_left(self) -> None:
        go, made = threading.Event(), ByHand()
        down = threading.Event()
        made.shutdown = lambda *_, **__: down.set()  # type: ignore[method-assign]

        def slow() -> ByHand:
            go.wait(30)
            return made

        run = batch(FunctionNode(double).pipe(on(slow)), 1)
        await turns()
        run.cancel()
        assert isinstance(await raised_by(run), asyncio.CancelledError)
        assert now() == 5
        await turns()
        assert_only_the_caller_runs()
        go.set()
        await until(down.is_set)
        assert made.sizes == []

    async def test_that_is_stuck_delays_the_end_of_its_run_no_longer_than_the_grace_time(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        go = threading.Event()
        make = stuck_until(go)
        run = batch(FunctionNode(double).pipe(on(make)), 1)
        await until(lambda: bool(make.made) and make.made[0].sizes == [1])
        make.made[0].bundles[0][0].set_running_or_notify_cancel()
        run.cancel()
        with caplog.at_level(logging.WARNING):
            assert isinstance(await raised_by(run), asyncio.CancelledError)
        assert now() == pytest.approx(5)
        assert "still busy" in caplog.text
        go.set()

    async def test_rule_r26_hears_of_a_cancel_that_comes_as_its_grace_time_ends(self) -> None:
        go = threading.Event()
        make = stuck_until(go)
        node = FunctionNode(double).pipe(on(make))
        call = asyncio.create_task(node.run(1))
        await until(lambda: bool(make.made) and make.made[0].sizes == [1])
        make.made[0].do(0)
        await turns()
        assert not call.done()  # it has its result, and its executor is stuck as it is shut down
        asyncio.get_running_loop().call_at(5, call.cancel)
        assert isinstance(await raised_by(call), asyncio.CancelledError)
        assert now() == 5
        go.set()

    async def test_that_is_stuck_does_not_hold_up_the_next_run(self) -> None:
        go = threading.Event()
        make = stuck_until(go)
        node = FunctionNode(double).pipe(on(make, lanes=1))
        run = batch(node, 1)
        await until(lambda: bool(make.made) and make.made[0].sizes == [1])
        make.made[0].bundles[0][0].set_running_or_notify_cancel()
        run.cancel()
        await raised_by(run)
        following = batch(node, 1)
        await until(lambda: len(make.made) == 2 and make.made[1].sizes == [1])
        make.made[1].do(0)
        go.set()
        assert [result.output for result in await following] == [0]
        # What comes back after all is nobody's any more.
        make.made[0].bundles[0][0].set_result(b"")
        await turns()


def stuck_until(go: threading.Event) -> Makes:
    """Make executors that are shut down only when an event is set."""

    class Stuck(ByHand):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            go.wait(30)
            super().shutdown()

    class MakesStuck(Makes):
        def __call__(self) -> ByHand:
            self.made.append(Stuck())
            return self.made[-1]

    return MakesStuck()


async def error_of(make: Callable[[], Any]) -> BaseException | None:
    (result,) = await batch(FunctionNode(double).pipe(on(make)), 1)
    assert_only_the_caller_runs()
    return result.exception


class TestAStartThatFails:
    async def test_fails_the_items_and_tells_why(self) -> None:
        def broken() -> ByHand:
            raise OSError("no more processes")

        error = await error_of(broken)
        assert isinstance(error, ExecutorLost)
        assert str(error) == "no executor could be made: OSError: no more processes"
        assert isinstance(error.__cause__, OSError)

    @pytest.mark.parametrize("leave", [SystemExit, KeyboardInterrupt, GeneratorExit])
    async def test_takes_nothing_along_when_it_exits(self, leave: type[BaseException]) -> None:
        def exits() -> ByHand:
            raise leave("no licence")

        error = await error_of(exits)
        assert isinstance(error, ExecutorLost)
        assert str(error) == f"no executor could be made: {leave.__name__}: no licence"

    async def test_tells_of_a_factory_that_returns_something_else(self) -> None:
        error = await error_of(lambda: "pool")
        assert isinstance(error, ExecutorLost)
        assert str(error) == (
            "the executor failed: TypeError: the factory must return an Executor, got 'pool' (str)"
        )

    async def test_is_tried_anew_by_the_next_run(self) -> None:
        made = ByHand()
        answers: list[Any] = [None, made]
        node = FunctionNode(double).pipe(on(lambda: answers.pop(0)))
        (failed,) = await batch(node, 1)
        assert isinstance(failed.exception, ExecutorLost)
        run = batch(node, 1)
        await until(lambda: made.sizes == [1])
        made.do(0)
        assert [result.output for result in await run] == [0]


async def test_rule_r21_nodes_that_were_not_used_lately_are_forgotten() -> None:
    """As a service needs it that is never without a run, and makes a node for each request."""
    executor = ByHand()
    policy = on(executor, chunk=1)

    async def output(function: Any, number: int) -> Any:
        call = asyncio.create_task(FunctionNode(function, "it").pipe(policy).run(number))
        await turns()
        executor.do(-1)
        return await call

    staying = asyncio.create_task(FunctionNode(double).pipe(policy).run(1))
    await turns()
    alive: list[weakref.ref[Any]] = []
    for number in range(100):
        function = partial(max, number)
        alive.append(weakref.ref(function))
        # An id is used again as soon as its node is forgotten.
        assert await output(function, 0) == number
        del function
    gc.collect()
    assert sum(function() is not None for function in alive) <= KEPT_NODES
    executor.do(0)
    assert await staying == 2


async def test_rule_r21_a_node_is_packed_once_while_others_come_and_go() -> None:
    packed = 0

    class Counted(BaseNode):
        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            return NodeResult(True)

        def __reduce__(self) -> Any:
            nonlocal packed
            packed += 1
            return FunctionNode, (double,)

    executor = ByHand()
    policy = on(executor, chunk=1)
    staying = Counted("it").pipe(policy)
    calls = [
        asyncio.create_task(node.run(1))
        for number in range(3 * KEPT_NODES)
        for node in (staying, FunctionNode(partial(max, number), "it").pipe(policy))
    ]
    await turns()
    assert packed == 1
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


def test_loops_one_after_another_have_their_own_sessions_and_share_an_executor() -> None:
    executor = ByHand()
    policy = on(executor)
    node = FunctionNode(double).pipe(policy)

    async def one(number: int) -> int:
        run = asyncio.create_task(node.run(number))
        await until(lambda: len(executor.sizes) == number)
        executor.do(number - 1)
        output: int = await run
        return output

    assert [asyncio.run(one(number)) for number in (1, 2, 3)] == [2, 4, 6]
    assert not executor.is_shut_down
    assert len(policy._sessions) == 1
