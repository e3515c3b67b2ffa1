"""Calls become bundles, bundles become results, and what is lost is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest
from distributed.scheduler import KilledWorker

from nadoo_flow import BatchProcessor, BatchResults, Event, FunctionNode
from nadoo_flow.executors import ExecutorLost, WorkerLost, on

from ..stand_ins import assert_only_the_caller_runs, double, raised_by
from .helpers import ByHand, turns, until

DEADLY = 5


class Makes:
    """Makes executors, and remembers them."""

    def __init__(self) -> None:
        self.made: list[ByHand] = []

    def __call__(self) -> ByHand:
        self.made.append(ByHand())
        return self.made[-1]


def batch(node: Any, items: int, concurrency: int = 100) -> asyncio.Task[BatchResults]:
    return asyncio.create_task(BatchProcessor(node, concurrency).batch(range(items)))


class TestChunks:
    async def test_take_what_waits_at_the_same_time(self) -> None:
        executor = ByHand()
        run = batch(FunctionNode(double).pipe(on(executor, chunk=4)), 10)
        await turns()
        assert [executor.calls(number) for number in range(3)] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [8, 9],
        ]
        for number in (2, 0, 1):
            executor.do(number)
        assert [result.output for result in await run] == list(range(0, 20, 2))
        assert_only_the_caller_runs()

    async def test_are_on_the_executor_as_many_as_there_are_lanes(self) -> None:
        executor = ByHand()
        run = batch(FunctionNode(double).pipe(on(executor, chunk=2, lanes=3)), 10)
        await turns()
        assert executor.sizes == [2, 2, 2]
        executor.do(1)
        await turns()
        assert executor.sizes == [2, 2, 2, 2]
        for number in (0, 2, 3):
            executor.do(number)
        await turns()
        executor.do(4)
        assert len(await run) == 10

    async def test_begin_small_and_then_share_out_what_waits(self) -> None:
        executor = ByHand()
        run = batch(FunctionNode(double).pipe(on(executor, lanes=4)), 24, 24)
        await turns()
        assert executor.sizes == [1] * 4
        for number in range(4):
            executor.do(number, busy=0.002)
        await turns()
        assert executor.sizes[4:] == [5] * 4
        for number in range(4, 8):
            executor.do(number, busy=0.01)
        assert len(await run) == 24

    async def test_are_even_though_the_lanes_become_free_one_by_one(self) -> None:
        executor = ByHand()
        run = batch(FunctionNode(double).pipe(on(executor, lanes=4)), 40, 40)
        await turns()
        for number in range(4):
            executor.do(number, busy=0.001)
            await turns()
        assert executor.sizes[4:] == [10, 10, 10, 6]
        calls = [call for number in range(8) for call in executor.calls(number)]
        assert calls == list(range(40))
        number = 4
        while not run.done():
            executor.do(number, busy=0.001 * len(executor.calls(number)))
            number += 1
            await turns()
        assert len(run.result()) == 40

    async def test_wait_for_no_more_calls_than_there_are(self) -> None:
        executor = ByHand()
        run = batch(FunctionNode(double).pipe(on(executor, chunk=50)), 3, 1)
        for number in range(3):
            await turns()
            assert executor.sizes == [1] * (number + 1)
            executor.do(number)
        assert len(await run) == 3

    async def test_mix_the_nodes_that_share_a_policy(self) -> None:
        executor = ByHand()
        shared = on(executor, chunk=2)
        first = asyncio.create_task(FunctionNode(double).pipe(shared).run(1))
        second = asyncio.create_task(FunctionNode(str).pipe(shared).run(2))
        await turns()
        assert executor.sizes == [2]
        executor.do(0)
        assert (await first, await second) == (2, "2")

    async def test_bring_a_large_node_when_the_worker_asks_for_it(self) -> None:
        executor = ByHand()
        table = bytes(100_000)
        run = batch(FunctionNode(lambda n: len(table) + n, "it").pipe(on(executor, chunk=2)), 2)
        await turns()
        executor.do(0)
        await turns()
        asked, told = (len(args[1]) for _, _, args in executor.bundles)
        assert asked < 10_000 < 100_000 < told
        executor.do(1)
        assert [result.output for result in await run] == [100_000, 100_001]


class TestABrokenExecutor:
    async def test_is_replaced_and_what_it_had_is_sent_again(self) -> None:
        make = Makes()
        node = FunctionNode(double).pipe(on(make, chunk=2, lanes=2))
        processor = BatchProcessor(node, 6)
        retried: list[Event] = []
        processor.events.subscribe(lambda event: event.kind == "retried" and retried.append(event))
        run = asyncio.create_task(processor.batch(range(6)))
        await until(lambda: bool(make.made) and make.made[0].sizes == [2, 2])
        make.made[0].do(1)
        await until(lambda: make.made[0].sizes == [2, 2, 2])
        for number in (0, 2):
            make.made[0].fail(number, BrokenProcessPool("killed"))
        await until(lambda: len(make.made) == 2 and len(make.made[1].sizes) == 2)
        assert make.made[0].is_shut_down
        assert [make.made[1].calls(number) for number in range(2)] == [[4, 5], [0, 1]]
        for number in range(2):
            make.made[1].do(number)
        assert [result.output for result in await run] == [0, 2, 4, 6, 8, 10]
        assert sorted((event.index, event.error) for event in retried) == [
            (index, "BrokenProcessPool: killed") for index in (0, 1, 4, 5)
        ]
        assert make.made[1].is_shut_down
        assert_only_the_caller_runs()

    async def test_of_the_callers_fails_what_it_had(self) -> None:
        executor = ByHand()
        run = batch(FunctionNode(double).pipe(on(executor, chunk=2)), 4)
        await turns()
        executor.fail(0, BrokenProcessPool("killed"))
        executor.do(1)
        results = await run
        error = "ExecutorLost: the executor failed: BrokenProcessPool: killed"
        assert [result.error for result in results] == [error, error, None, None]
        lost = [result.exception for result in results[:2]]
        assert lost[0] is not lost[1]
        assert [type(error) for error in lost] == [ExecutorLost, ExecutorLost]
        assert not executor.is_shut_down

    async def test_that_was_shut_down_fails_what_is_sent_to_it(self) -> None:
        class Closed(ByHand):
            def submit(self, *args: Any, **kwargs: Any) -> Any:
                raise RuntimeError("cannot schedule new futures after shutdown")

        (result,) = await batch(FunctionNode(double).pipe(on(Closed())), 1)
        assert result.error == (
            "ExecutorLost: the executor takes no work: RuntimeError: cannot schedule new futures "
            "after shutdown"
        )

    async def test_that_cancels_its_work_is_lost_and_the_run_goes_on(self) -> None:
        executor = ByHand()
        run = batch(FunctionNode(double).pipe(on(executor, chunk=1)), 2)
        await turns()
        executor.bundles[0][0].cancel()
        executor.do(1)
        first, second = await run
        assert isinstance(first.exception, ExecutorLost)
        assert first.error == (
            "ExecutorLost: the executor cancelled the item: it was shut down, or lost its scheduler"
        )
        assert second.output == 2


async def broken_by_one(
    run: asyncio.Task[BatchResults], executors: Sequence[ByHand], error: Exception
) -> list[list[int]]:
    """Break all that is in work whenever a certain item is, until the run has ended.

    Returns:
        The bundles that were sent.
    """
    sent: list[list[int]] = []
    done: dict[int, int] = {}
    while not run.done():
        await turns()
        for place, executor in enumerate(executors):
            new = range(done.get(place, 0), len(executor.bundles))
            done[place] = len(executor.bundles)
            sent += [executor.calls(number) for number in new]
            deadly = any(DEADLY in executor.calls(number) for number in new)
            for number in new:
                if deadly:
                    executor.fail(number, error)
                else:
                    executor.do(number)
    return sent


class TestADeadlyItem:
    async def test_is_found_by_halves_with_nothing_else_in_work(self) -> None:
        make = Makes()
        killed = BrokenProcessPool("killed")
        run = batch(FunctionNode(double).pipe(on(make, chunk=8, lanes=2)), 12)
        sent = await broken_by_one(run, make.made, killed)
        results = run.result()
        assert sent == [
            [0, 1, 2, 3, 4, 5, 6, 7],
            [8, 9, 10, 11],
            # once more, with others
            [8, 9, 10, 11, 0, 1, 2, 3],
            [4, 5, 6, 7],
            # alone
            [8, 9, 10, 11, 0, 1, 2, 3],
            [4, 5, 6, 7],
            [4, 5],
            [4],
            [5],
            [6, 7],
        ]
        failed = [result for result in results if not result.success]
        assert [result.index for result in failed] == [DEADLY]
        assert isinstance(failed[0].exception, WorkerLost)
        assert failed[0].error == (
            "WorkerLost: workers died 5 times while they had this item: BrokenProcessPool: killed"
        )
        assert [result.output for result in results if result.success] == [
            2 * number for number in range(12) if number != DEADLY
        ]

    async def test_that_travels_alone_is_given_four_chances(self) -> None:
        make = Makes()
        killed = BrokenProcessPool("killed")
        run = batch(FunctionNode(double).pipe(on(make, chunk=1, lanes=1)), 6)
        sent = await broken_by_one(run, make.made, killed)
        assert sent == [[0], [1], [2], [3], [4], [5], [5], [5], [5]]
        assert len(make.made) == 4
        assert [result.success for result in run.result()] == [True] * 5 + [False]

    async def test_that_dask_has_given_up_is_found_by_halves_at_once(self) -> None:
        executor = ByHand()
        killed = KilledWorker("chunk", None, 3)
        run = batch(FunctionNode(double).pipe(on(executor, chunk=8)), 8)
        sent = await broken_by_one(run, [executor], killed)
        results = run.result()
        assert sent == [
            [*range(8)],
            [*range(8)],
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [4, 5],
            [4],
            [5],
            [6, 7],
        ]
        assert [result.index for result in results if not result.success] == [DEADLY]
        assert isinstance(results[DEADLY].exception, WorkerLost)


async def test_a_cancelled_call_is_not_sent_again() -> None:
    make = Makes()
    node = FunctionNode(double).pipe(on(make, chunk=2))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(node.run(1))
        second = group.create_task(node.run(2))
        await until(lambda: bool(make.made) and make.made[0].sizes == [2])
        first.cancel()
        await turns()
        make.made[0].fail(0, BrokenProcessPool("killed"))
        await until(lambda: len(make.made) == 2 and bool(make.made[1].sizes))
        assert make.made[1].calls(0) == [2]
        make.made[1].do(0)
    assert second.result() == 4


async def test_an_answer_that_cannot_be_read_fails_its_items() -> None:
    executor = ByHand()
    run = batch(FunctionNode(double).pipe(on(executor)), 1)
    await turns()
    executor.bundles[0][0].set_result(b"nonsense")
    (result,) = await run
    assert isinstance(result.exception, ExecutorLost)
    assert str(result.error).startswith("ExecutorLost: the executor failed: UnpicklingError")


class Trap:
    """Is pickled, but raises when it is unpickled."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return spring, (self.error,)


def spring(error: type[BaseException]) -> None:
    raise error("odd")


@pytest.mark.parametrize("error", [GeneratorExit, SystemExit, asyncio.CancelledError])
async def test_rule_r26_an_output_that_raises_as_it_is_unpickled_fails_alone(
    error: type[BaseException],
) -> None:
    executor = ByHand()
    node = FunctionNode(lambda n: Trap(error) if n == 1 else n, "it")
    run = batch(node.pipe(on(executor, chunk=3)), 3)
    await turns()
    executor.do(0)
    assert [result.error for result in await run] == [
        None,
        f"UnpicklingError: the output cannot be unpickled: {error.__name__}: odd",
        None,
    ]


async def test_rule_r26_an_interrupt_while_an_output_is_unpickled_ends_the_run() -> None:
    executor = ByHand()
    node = FunctionNode(lambda n: Trap(KeyboardInterrupt), "it").pipe(on(executor, chunk=3))

    async def do_it() -> None:
        await turns()
        executor.do(0)

    doing = asyncio.create_task(do_it())
    async with asyncio.timeout(60):
        error = await raised_by(BatchProcessor(node, 3).batch(range(3)))
    assert isinstance(error, KeyboardInterrupt)
    assert doing.done()
    assert_only_the_caller_runs()
