"""Generators in workers: their outputs come in chunks, within the demand, and none is left."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FlatMapNode, FunctionNode, MapNode, NodeError
from nadoo_flow.executors import ExecutorLost, WorkerLost, on
from nadoo_flow.executors.chunk import FIRST, MOST
from nadoo_flow.executors.errors import RemoteTraceback
from nadoo_flow.policies import retry
from nadoo_flow.streams import compute_default_window

from ..stand_ins import assert_only_the_caller_runs, raised_by
from .helpers import SPAWN, ByHand, local_cluster, real, turns, two_processes, until
from .work import (
    count_generators,
    count_up,
    count_up_async,
    die_once,
    fail_once,
    give_letters,
    name_threads,
    range_of,
    refill,
)

ENDLESS = 10**9


def many(fn: Any, executor: Any, **options: Any) -> FlatMapNode[Any, Any]:
    return FlatMapNode("many", FunctionNode(fn).pipe(on(executor, **options)))


async def take_all(stage: Any, items: Any, **options: Any) -> tuple[list[Any], str | None]:
    """Return the outputs of a stage, and the error with which they end."""
    outputs = []
    try:
        async with stage.stream(items, **options) as stream:
            async for output in stream:
                outputs.append(output)
    except NodeError as error:
        return outputs, str(error).removeprefix("node 'many' failed on ")
    assert_only_the_caller_runs()
    return outputs, None


@pytest.mark.slow
@real
class TestOnEachExecutor:
    @pytest.mark.parametrize("count", [count_up, count_up_async])
    async def test_rule_r44_gives_all_outputs_in_chunks(
        self, executor: Any, count: Any, tmp_path: Path
    ) -> None:
        lengths = [0, 1, FIRST, 3 * FIRST + 1, 0, MOST]
        stage = many(partial(count, tmp_path / "notes"), executor)
        expected = [number for length in lengths for number in range(length)]
        assert await stage.run({"items": lengths}) == {"results": expected}
        assert (tmp_path / "notes").read_bytes().count(b"x") == len(lengths)

    async def test_rule_r44_makes_no_more_than_a_chunk_ahead_and_rule_r46_is_closed(
        self, executor: Any, tmp_path: Path
    ) -> None:
        notes = tmp_path / "notes"
        stage = many(partial(count_up, notes), executor, chunk=5)
        async with stage.stream([ENDLESS] * 3) as outputs:
            taken = [await anext(outputs) for _ in range(7)]
        assert_only_the_caller_runs()
        noted = notes.read_bytes()
        assert noted.count(b"x") == noted.count(b"o")
        window = compute_default_window(stage.max_concurrency)
        # Of each item the window holds part of a chunk, and another one may be in the making.
        assert len(taken) <= noted.count(b".") <= len(taken) + window + 3 * (5 + 5)

    async def test_rule_r31_an_error_comes_behind_the_outputs_and_names_their_number(
        self, executor: Any
    ) -> None:
        error = await raised_by(many(give_letters, executor).run({"items": ["ab", "cd!"]}))
        assert str(error) == "node 'many' failed: item 1: after 2 outputs: ValueError: no cd!"
        assert isinstance(error.__cause__, ValueError)
        assert isinstance(error.__cause__.__cause__, RemoteTraceback)

    @pytest.mark.parametrize(
        ("bad", "problem"),
        [
            (
                "#",
                "PicklingError: the output cannot be pickled: "
                "TypeError: cannot pickle '_thread.lock' object",
            ),
            (
                "?",
                "UnpicklingError: the output cannot be unpickled: "
                "ValueError: invalid literal for int() with base 10: 'odd'",
            ),
        ],
        ids=["pickled", "unpickled"],
    )
    async def test_rule_r31_an_output_that_cannot_travel_takes_back_none_before_it(
        self, executor: Any, bad: str, problem: str
    ) -> None:
        word = "a" * (FIRST + 1)
        outputs, error = await take_all(many(give_letters, executor), [word + bad])
        assert outputs == [*word]
        assert error == f"item 0: after {FIRST + 1} outputs: {problem}"

    async def test_a_generator_may_change_what_it_has_given(self, executor: Any) -> None:
        outputs, error = await take_all(many(refill, executor), [FIRST + 1])
        assert (outputs, error) == ([{"number": number} for number in range(FIRST + 1)], None)

    async def test_each_generator_stays_in_its_thread(self, executor: Any) -> None:
        outputs, _ = await take_all(many(name_threads, executor, chunk=3), [20])
        assert len(outputs) == 20
        assert len(set(outputs)) == 1

    async def test_rule_r45_stages_on_the_same_executor_do_not_wait_for_each_other(
        self, executor: Any, tmp_path: Path
    ) -> None:
        policy = on(executor, chunk=2)
        chain = (
            FlatMapNode("a", FunctionNode(range_of).pipe(policy), "items", "a")
            | FlatMapNode("b", FunctionNode(range_of).pipe(policy), "a", "b")
            | MapNode("c", FunctionNode(abs).pipe(on(executor)), "b", "c")
        )
        async with asyncio.timeout(60):
            outputs, error = await take_all(chain, [6, 0, 5, 7, 6, 6], ordered=True)
        expected = [low for n in (6, 0, 5, 7, 6, 6) for high in range(n) for low in range(high)]
        assert (outputs, error) == (expected, None)


@pytest.fixture(params=["thread", "process"])
def lonely(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Make an executor with one worker."""
    if request.param == "thread":
        with ThreadPoolExecutor(1) as executor:
            yield executor
    else:
        with ProcessPoolExecutor(1, mp_context=SPAWN) as executor:
            yield executor


@pytest.mark.slow
@real
class TestOneWorker:
    async def test_rule_r45_is_free_for_the_consumer_while_outputs_wait(
        self, lonely: Executor, tmp_path: Path
    ) -> None:
        stage = many(partial(count_up, tmp_path / "notes"), lonely)
        node = FunctionNode(abs).pipe(on(lonely))
        async with asyncio.timeout(30), stage.stream([ENDLESS] * 20, ordered=True) as outputs:
            for number in range(3 * FIRST):
                assert await anext(outputs) == number
                if number % FIRST == 0:
                    assert await node.run(-number) == number
                    assert await asyncio.wrap_future(lonely.submit(abs, -1)) == 1

    async def test_rule_r45_the_first_item_in_order_gets_it_again_for_another_try(
        self, lonely: Executor, tmp_path: Path
    ) -> None:
        file = tmp_path / "failed"
        node = FunctionNode(partial(fail_once, file)).pipe(on(lonely), retry(2, wait=0))
        async with asyncio.timeout(30):
            stage = FlatMapNode("many", node)
            outputs, error = await take_all(stage, [3 * FIRST] * 12, ordered=True)
        assert error is None
        assert outputs == [*range(3 * FIRST)] * 12


@pytest.mark.slow
@real
class TestAWorkerThatDies:
    async def test_rule_r46_before_the_first_output_is_replaced(self, tmp_path: Path) -> None:
        node = FunctionNode(partial(die_once, tmp_path / "died")).pipe(on(two_processes))
        assert await FlatMapNode("many", node).run({"items": [300]}) == {"results": [*range(300)]}

    @pytest.mark.parametrize("kind", ["own", "factory"])
    async def test_rule_r46_behind_outputs_is_an_error_that_says_how_many(self, kind: str) -> None:
        before = set(multiprocessing.active_children())
        pool = two_processes()
        word = "a" * 1_000 + "+"
        outputs, error = await take_all(
            many(give_letters, pool if kind == "own" else two_processes), [word]
        )
        pool.shutdown()
        assert set(outputs) == {"a"}
        assert error is not None
        assert error.startswith(f"item 0: after {len(outputs)} outputs: ")
        assert WorkerLost.__name__ in error or ExecutorLost.__name__ in error
        await until(lambda: set(multiprocessing.active_children()) == before)

    async def test_rule_r46_does_not_end_with_one_of_dasks_workers_for_ever(self) -> None:
        from distributed import Client

        with local_cluster() as cluster, Client(cluster) as client:
            word = "a" * 1_000 + "+"
            outputs, error = await take_all(many(give_letters, client), [word, word])
        assert error is not None
        assert f"after {len(outputs)} outputs" not in error or set(outputs) == {"a"}
        assert WorkerLost.__name__ in error


@pytest.mark.slow
@real
async def test_a_process_that_ends_after_one_call_runs_a_generator_to_its_end() -> None:
    with ProcessPoolExecutor(1, mp_context=SPAWN, max_tasks_per_child=1) as pool:
        lengths = [2 * MOST, 3]
        outputs, error = await take_all(many(range_of, pool), lengths, ordered=True)
    assert (outputs, error) == ([*range(2 * MOST), *range(3)], None)


@pytest.mark.slow
def test_no_other_process_is_taken_for_one_that_ends_after_some_calls() -> None:
    process = SPAWN.Process(target=take_one_of_many, args=range(5))
    process.start()
    process.join(60)
    ended = process.exitcode
    process.kill()
    assert ended == 0


def take_one_of_many(*numbers: int) -> None:
    async def take_one() -> None:
        async with many(range_of, executor).stream([ENDLESS]) as outputs:
            assert await anext(outputs) == numbers[0]

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(take_one())


@pytest.mark.slow
@real
@pytest.mark.parametrize("make", [two_processes, partial(ThreadPoolExecutor, 2)])
async def test_rule_r46_a_pool_that_is_shut_down_in_the_middle_is_an_error(
    make: Callable[[], Executor], tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    with make() as pool:
        outputs, error = [], None
        try:
            async with many(partial(count_up, notes), pool).stream([ENDLESS] * 2) as stream:
                async for output in stream:
                    outputs.append(output)
                    if len(outputs) == 100:
                        pool.shutdown(wait=False)
        except NodeError as raised:
            error = raised
    assert isinstance(error, NodeError)
    assert isinstance(error.__cause__, ExecutorLost)
    assert_only_the_caller_runs()
    async with asyncio.timeout(30):  # a pool is shut down without waiting for its processes
        await until(lambda: notes.read_bytes().count(b"x") == notes.read_bytes().count(b"o"))


class TestInThreads:
    @real
    async def test_a_batch_gives_the_list(self, threads: Executor, tmp_path: Path) -> None:
        node = FunctionNode(partial(count_up, tmp_path / "notes")).pipe(on(threads))
        assert (await BatchProcessor(node).batch([3])).outputs == [[0, 1, 2]]

    @real
    async def test_rule_r61_a_run_that_resumes_gives_each_output_once(
        self, threads: Executor, tmp_path: Path
    ) -> None:
        stage = many(range_of, threads, chunk=10)
        options = {"checkpoint": tmp_path / "checkpoint", "ordered": True}
        async with stage.stream([50, 20], **options) as stream:
            assert [await anext(stream) for _ in range(27)] == [*range(27)]
        outputs, error = await take_all(stage, [50, 20], **options)
        assert (outputs, error) == ([*range(50), *range(20)], None)

    @real
    async def test_rule_r46_a_step_that_goes_on_is_not_waited_for_long(
        self,
        threads: Executor,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr("nadoo_flow.executors.pulling.CLOSING_SECONDS", -0.99)
        blocked = threading.Event()
        EVENTS.append(blocked)
        with caplog.at_level(logging.WARNING):
            async with many(give_and_block, threads, chunk=1).stream([1]) as outputs:
                assert await anext(outputs) == 1
                await until(lambda: bool(STARTED))
        assert "is not closed yet" in caplog.text
        assert_only_the_caller_runs()
        blocked.set()
        await until(lambda: not STARTED)
        EVENTS.clear()

    @real
    async def test_the_threads_end_when_no_generator_comes(
        self, threads: Executor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("nadoo_flow.executors.host.IDLE_SECONDS", 0.01)
        outputs, _ = await take_all(many(range_of, threads), [2_000] * 3)
        assert len(outputs) == 6_000
        await until(
            lambda: not any("generators" in thread.name for thread in threading.enumerate())
        )

    @real
    async def test_a_thread_that_ends_while_it_is_free_is_not_used_again(
        self, threads: Executor
    ) -> None:
        async def exit_later(_: int) -> Any:
            asyncio.get_running_loop().call_later(0.02, sys.exit)
            yield threading.get_ident()

        ((ended,), _) = await take_all(many(exit_later, threads), [1])
        await until(lambda: all(thread.ident != ended for thread in threading.enumerate()))
        assert await take_all(many(range_of, threads), [3]) == ([0, 1, 2], None)

    @real
    @pytest.mark.parametrize("spoil", ["stop", "cancel"])
    async def test_rule_r26_what_a_generator_does_to_its_loop_fails_it(
        self, threads: Executor, spoil: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        hosts: set[threading.Thread] = set()
        loops: list[asyncio.AbstractEventLoop] = []

        async def give(number: int) -> Any:
            yield number
            loop = asyncio.get_running_loop()
            hosts.add(threading.current_thread())
            loops.append(loop)
            if spoil == "stop":
                loop.stop()
            else:
                for task in asyncio.all_tasks():
                    task.cancel()
            await asyncio.sleep(0)
            yield number

        outputs, error = await take_all(many(give, threads), [1])
        assert outputs == [1]
        assert error is not None
        assert error.startswith("item 0: after 1 output: ")
        # The next one does not suffer.
        assert await take_all(many(range_of, threads), [3]) == ([0, 1, 2], None)
        if spoil == "stop":
            await until(lambda: not any(thread.is_alive() for thread in hosts))
            assert all(loop.is_closed() for loop in loops)
        assert caplog.messages == []


@real
class TestACancelOfAnOpening:
    @pytest.mark.parametrize("later", [None, 0, 1, 2, 3, 4, 5])
    async def test_rule_r46_leaves_no_generator(self, later: int | None, tmp_path: Path) -> None:
        notes = tmp_path / "notes"
        executor = ByHand()
        run = asyncio.create_task(
            take_all(many(partial(count_up, notes), executor), [ENDLESS], ordered=True)
        )
        await turns()
        executor.bundles[0][0].set_running_or_notify_cancel()
        future, fn, arguments = executor.bundles[0]
        opened: list[Any] = []
        worker = threading.Thread(target=lambda: opened.append(fn(*arguments)))
        worker.start()
        worker.join()
        if later is None:  # the worker answers after the cancel
            run.cancel()
            await turns()
            future.set_result(opened[0])
        else:
            future.set_result(opened[0])
            await turns(later)
            run.cancel()
        await raised_by(run)
        assert notes.read_bytes().count(b"x") == 1
        assert count_generators(None) == 0
        assert_only_the_caller_runs()


def test_rule_r46_one_that_is_opened_after_the_end_of_the_loop_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nadoo_flow.executors.session.GRACE", 0)  # the worker takes longer
    executor = ByHand()
    notes = tmp_path / "notes"

    async def leave() -> None:
        run = asyncio.create_task(take_all(many(partial(count_up, notes), executor), [ENDLESS]))
        await turns()
        executor.bundles[0][0].set_running_or_notify_cancel()
        run.cancel()
        await raised_by(run)

    asyncio.run(leave())
    future, fn, arguments = executor.bundles[0]
    with ThreadPoolExecutor(1) as worker:
        future.set_result(worker.submit(fn, *arguments).result())
    assert count_generators(None) == 0
    deadline = time.monotonic() + 30
    while b"x" not in notes.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert notes.read_bytes().count(b"x") == 1


EVENTS: list[threading.Event] = []
STARTED: list[int] = []


def give_and_block(number: int) -> Iterator[int]:
    yield number
    STARTED.append(number)
    EVENTS[0].wait()
    STARTED.clear()
    yield number
