"""Code inside a run that cancels its own task, swallows cancels, or raises what means an end.

The numbers are those of the rules in ``CONTRACT.md``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from contextvars import ContextVar
from types import coroutine
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    ParallelNode,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.policies import fallback, retry, timeout
from nadoo_flow.testing import advance

from ..stand_ins import (
    CLEAN_UP,
    Probe,
    assert_only_the_caller_runs,
    log_of_the_loop,
    now,
    raised_by,
)

LONG = 1_000.0
"""Seconds that no test waits, unless a cancel is lost."""

both_isolations = pytest.mark.parametrize("isolate", ["context", "task"])


def isolated(function: Callable[[Any], Any], isolate: Any) -> FunctionNode:
    node = FunctionNode(function)
    node.isolate = isolate
    return node


def same(value: Any) -> Any:
    return value


def cancel_current_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancel_and_forget() -> None:
    """Do as an old timeout helper does: cancel the own task, and never take that back."""
    cancel_current_task()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


async def be_cancelled_by_a_timer() -> None:
    """Do as an old timeout helper does whose time is over."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(0.1, task.cancel)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(LONG)


class TestACancelThatWasSwallowed:
    @pytest.mark.parametrize("cancel", [cancel_and_forget, be_cancelled_by_a_timer])
    @both_isolations
    async def test_rule_r9_does_not_hide_the_end_of_the_run(
        self, cancel: Callable[[], Any], isolate: Any
    ) -> None:
        cleaned: list[float] = []

        async def work(_: Any) -> None:
            await cancel()
            try:
                await asyncio.sleep(LONG)
            finally:
                cleaned.append(now())

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await BatchProcessor(isolated(work, isolate), 2).batch(range(4))
        assert (now(), cleaned) == (0.3, [0.3, 0.3])
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("is_delivered", [True, False])
    async def test_rule_r9_between_two_items_of_a_source_loses_none(
        self, is_delivered: bool
    ) -> None:
        async def source() -> AsyncIterator[int]:
            for number in range(5):
                cancel_current_task()
                if is_delivered:
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(0)
                yield number

        results = await BatchProcessor(same, 2).batch(source())
        assert results.outputs == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("is_delivered", [True, False])
    async def test_rule_r9_is_taken_off_before_the_next_item(self, is_delivered: bool) -> None:
        counts: list[int] = []

        async def work(number: int) -> int:
            task = asyncio.current_task()
            assert task is not None
            counts.append(task.cancelling())
            await asyncio.sleep(1)
            task.cancel()
            if is_delivered:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
            return number

        results = await BatchProcessor(work, 1).batch(range(4))
        assert results.outputs == [0, 1, 2, 3]
        assert counts == [0, 0, 0, 0]

    async def test_rule_r9_does_not_make_the_next_stray_error_end_the_run(self) -> None:
        async def work(number: int) -> int:
            if number % 2:
                raise asyncio.CancelledError("out of nowhere")
            await cancel_and_forget()
            return number

        results = await BatchProcessor(work, 1).batch(range(4))
        assert [result.error for result in results] == [
            None,
            "CancelledError: out of nowhere",
            None,
            "CancelledError: out of nowhere",
        ]

    @pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
    async def test_rule_r9_of_an_overridden_process_single_fails_its_item(
        self, error: type[BaseException]
    ) -> None:
        class Hostile(BatchProcessor):
            async def process_single(self, *arguments: Any) -> Any:
                raise error

        results = await Hostile(same, 1).batch(range(2))
        assert [result.error for result in results] == [error.__name__] * 2


async def cancel_without_a_catch(_: Any) -> None:
    cancel_current_task()
    await asyncio.sleep(1)


async def be_cancelled_by_a_helper(_: Any) -> None:
    task = asyncio.current_task()
    assert task is not None

    async def cancel_it() -> None:
        task.cancel()

    helper = asyncio.create_task(cancel_it())
    await asyncio.sleep(1)
    await helper


class TestACancelOfTheNodesOwn:
    @pytest.mark.parametrize("node", [cancel_without_a_catch, be_cancelled_by_a_helper])
    @both_isolations
    async def test_rule_r9_fails_its_item_alone(
        self, node: Callable[[Any], Any], isolate: Any
    ) -> None:
        async def work(number: int) -> int:
            if number % 2:
                await node(number)
            return number

        results = await BatchProcessor(isolated(work, isolate), 1).batch(range(4))
        assert [result.error for result in results] == [None, "CancelledError"] * 2
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("node", [cancel_without_a_catch, be_cancelled_by_a_helper])
    async def test_rule_r9_fails_its_item_in_every_stage(self, node: Callable[[Any], Any]) -> None:
        mapped = MapNode("map", node, continue_on_error=True, max_concurrency=1)
        assert await mapped.run({"items": [1, 2]}) == {"results": []}
        stages = (
            FilterNode("stage", lambda item: node(item)),
            ReduceNode("stage", lambda _, item: node(item)),
        )
        for stage in stages:
            error = await raised_by(stage.run({"items": [1, 2]}))
            assert isinstance(error, NodeError)
            assert error.error == "item 0: CancelledError"
        parallel = await raised_by(ParallelNode([node, same]).run(1))
        assert isinstance(parallel, NodeError)
        assert_only_the_caller_runs()


class TestACancelFromOutsideOfTheRun:
    async def test_rule_r9_of_every_task_ends_an_endless_run(self) -> None:
        """As at the end of ``asyncio.run``, which would wait for ever otherwise."""

        async def endless() -> AsyncIterator[int]:
            while True:
                yield 1

        async def swallow(_: int) -> None:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

        errors: list[BaseException] = []
        BatchProcessor(swallow, 3).observe(endless()).subscribe(on_error=errors.append)
        await asyncio.sleep(2.5)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
        assert now() == 2.5
        assert [type(error) for error in errors] == [asyncio.CancelledError]
        assert_only_the_caller_runs()

    async def test_rule_r9_that_a_timeout_of_the_node_asked_for_is_the_nodes_own(self) -> None:
        timeouts: list[asyncio.Timeout] = []

        async def work(number: int) -> str:
            try:
                async with asyncio.timeout(None) as scope:
                    timeouts.append(scope)
                    await asyncio.sleep(5)
            except TimeoutError:
                return "left"
            if number == 1:
                raise asyncio.CancelledError
            return "stayed"

        running = asyncio.create_task(BatchProcessor(work, 1).batch(range(2)))
        await asyncio.sleep(1)
        timeouts[0].reschedule(2)
        results = await running
        assert [(result.output, result.error) for result in results] == [
            ("left", None),
            (None, "CancelledError"),
        ]


async def unwind_slowly(cleaned: list[float]) -> None:
    """Time out at 1, clean up until 3, and then go on for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            try:
                await asyncio.sleep(LONG)
            finally:
                await asyncio.sleep(2)
                cleaned.append(now())
    await asyncio.sleep(LONG)


class TestAnEndThatMeetsAnUnwindingTimeout:
    """The cancel of the end comes at 2, when the clean-up of the timeout is under way."""

    @pytest.mark.parametrize("way", ["break", "aclose", "cancel"])
    async def test_rule_r10_reaches_an_async_source(self, way: str) -> None:
        cleaned: list[float] = []

        async def source() -> AsyncIterator[int]:
            yield 1
            await unwind_slowly(cleaned)
            yield 2

        if way == "cancel":
            task = asyncio.create_task(BatchProcessor(same, 2).batch(source()))
            await asyncio.sleep(2)
            task.cancel()
            assert isinstance(await raised_by(task), asyncio.CancelledError)
        else:
            async with BatchProcessor(same, 2).batch_as_completed(source()) as results:
                async for _ in results:
                    await asyncio.sleep(2)
                    if way == "aclose":
                        await results.aclose()
                    break
        assert (now(), cleaned) == (3, [3])
        assert_only_the_caller_runs()

    @both_isolations
    async def test_rule_r10_reaches_a_node(self, isolate: Any) -> None:
        cleaned: list[float] = []
        node = isolated(lambda _: unwind_slowly(cleaned), isolate)
        task = asyncio.create_task(BatchProcessor(node, 2).batch([1, 2]))
        await asyncio.sleep(2)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert (now(), cleaned) == (3, [3, 3])
        assert_only_the_caller_runs()

    async def test_rule_r10_reaches_a_node_of_a_parallel_node(self) -> None:
        cleaned: list[float] = []
        node = ParallelNode([FunctionNode(lambda _: unwind_slowly(cleaned), "slow"), same])
        task = asyncio.create_task(node.run(1))
        await asyncio.sleep(2)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert (now(), cleaned) == (3, [3])
        assert_only_the_caller_runs()

    @pytest.mark.parametrize(
        "policy", [timeout(500), retry(3, wait=LONG), fallback(same)], ids=["t", "r", "f"]
    )
    async def test_rule_r10_reaches_a_node_in_a_policy(self, policy: Any) -> None:
        cleaned: list[float] = []
        node = FunctionNode(lambda _: unwind_slowly(cleaned)).pipe(policy)
        task = asyncio.create_task(BatchProcessor(node, 2).batch([1]))
        await asyncio.sleep(2)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert (now(), cleaned) == (3, [3])
        assert_only_the_caller_runs()

    async def test_rule_r10_does_not_wait_for_ever_for_a_cancel_that_is_kept(self) -> None:
        kept: list[BaseException] = []

        async def work(_: Any) -> None:
            cancel_current_task()
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError as error:
                kept.append(error)
            await asyncio.sleep(LONG)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await BatchProcessor(work, 2).batch([1])
        assert now() == 1 + 5
        assert_only_the_caller_runs()


async def raise_generator_exit(_: Any) -> None:
    await asyncio.sleep(1)
    raise GeneratorExit


async def await_a_task_that_raises_it(_: Any) -> None:
    await asyncio.create_task(raise_generator_exit(0))


class TestAGeneratorExit:
    @both_isolations
    @pytest.mark.parametrize("raise_it", [raise_generator_exit, await_a_task_that_raises_it])
    async def test_rule_r11_of_a_node_fails_its_item_alone(
        self, raise_it: Callable[[Any], Any], isolate: Any
    ) -> None:
        async def work(number: int) -> int:
            if number == 1:
                await raise_it(number)
            return number

        results = await BatchProcessor(isolated(work, isolate), 1).batch(range(3))
        assert [result.success for result in results] == [True, False, True]
        error = results[1].exception
        # Thrown into a coroutine, one that comes from a future would close what is below it.
        from_future = raise_it is await_a_task_that_raises_it
        assert isinstance(error, RuntimeError if from_future else GeneratorExit)
        assert_only_the_caller_runs()

    async def test_rule_r11_is_a_failure_to_policies_and_parallel_nodes(self) -> None:
        node = FunctionNode(raise_generator_exit, "broken")
        retried = node.pipe(retry(2, wait=1), timeout(10))
        results = await BatchProcessor(retried, 2).batch([1])
        assert (results[0].error, now()) == ("GeneratorExit", 1)
        assert await BatchProcessor(node.pipe(fallback(same)), 2).batch([1])
        results = await BatchProcessor(ParallelNode([node, same]), 2).batch([1])
        assert results[0].error == "node 'broken': GeneratorExit"
        error = await raised_by(node.run(1))
        assert isinstance(error, NodeError)
        assert error.error == "GeneratorExit"
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("kind", ["sync", "async", "task"])
    async def test_rule_r11_of_a_source_is_its_error(self, kind: str) -> None:

        def inputs() -> Iterator[int]:
            yield 1
            raise GeneratorExit

        async def async_inputs() -> AsyncIterator[int]:
            yield 1
            await (await_a_task_that_raises_it if kind == "task" else raise_generator_exit)(0)

        probe, outputs = Probe(), list[Any]()
        source: Any = inputs() if kind == "sync" else async_inputs()
        with pytest.raises(RuntimeError if kind == "task" else GeneratorExit):
            async for result in BatchProcessor(probe, 2).batch_as_completed(source):
                outputs.append(result.output)
        assert outputs == [1]
        assert_only_the_caller_runs()

    async def test_rule_r11_of_what_an_answer_contains_ends_the_run(self) -> None:
        class Odd(dict[str, int]):
            def items(self) -> Any:
                raise GeneratorExit

        class Answering(BaseNode):
            async def execute(
                self, node_context: NodeContext, workflow_context: WorkflowContext
            ) -> NodeResult:
                return NodeResult(True, 1, metadata={"usage": Odd(tokens=1)})

        error = await raised_by(MapNode(child_node=Answering()).run({"items": [1, 2]}))
        assert isinstance(error, NodeError)
        assert error.error == "GeneratorExit"
        assert_only_the_caller_runs()

    def test_rule_r11_that_closes_a_coroutine_is_none_of_the_nodes(self) -> None:
        ended: list[str] = []

        @coroutine
        def suspend() -> Generator[None, None, None]:
            yield

        async def work(_: Any) -> None:
            try:
                await suspend()
            finally:
                ended.append("closed")

        running = FunctionNode(work).pipe(fallback(same)).run(1)
        running.send(None)
        running.close()
        assert ended == ["closed"]


ways_to_close = pytest.mark.parametrize("way", ["directly", "gather", "task", "shield"])


class TestClosingARunFromInside:
    @both_isolations
    @ways_to_close
    @pytest.mark.parametrize(
        "is_eager",
        [
            False,
            pytest.param(
                True, marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="needs 3.12")
            ),
        ],
    )
    async def test_rule_r23_of_a_node_never_waits_for_itself(
        self, isolate: Any, way: str, is_eager: bool
    ) -> None:
        if is_eager:
            factory = vars(asyncio)["eager_task_factory"]
            asyncio.get_running_loop().set_task_factory(factory)
        errors: list[BaseException | None] = []

        async def close() -> None:
            errors.append(await raised_by(results.aclose()))

        async def work(_: int) -> None:
            if way == "directly":
                await close()
            elif way == "gather":
                await asyncio.gather(close())
            elif way == "task":
                await asyncio.create_task(close())
            else:
                await asyncio.shield(close())

        results = BatchProcessor(isolated(work, isolate), 2).batch_as_completed([1])
        assert isinstance(await raised_by(anext(results)), RuntimeError)
        await results.aclose()
        assert now() == 0
        assert [type(error) for error in errors] in ([RuntimeError], [])
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("way", ["directly", "gather"])
    async def test_rule_r23_of_a_source_never_waits_for_itself(self, way: str) -> None:
        errors: list[BaseException | None] = []

        async def close() -> None:
            errors.append(await raised_by(results.aclose()))

        async def source() -> AsyncIterator[int]:
            await (close() if way == "directly" else asyncio.gather(close()))
            await asyncio.sleep(LONG)
            yield 1

        results = BatchProcessor(same, 2).batch_as_completed(source())
        assert isinstance(await raised_by(anext(results)), RuntimeError)
        await results.aclose()
        assert (now(), [type(error) for error in errors]) == (0, [RuntimeError])
        assert_only_the_caller_runs()


VARIABLE: ContextVar[int] = ContextVar("VARIABLE")


class TestASource:
    @pytest.mark.parametrize("way", ["break", "end", "failure", "cancel"])
    async def test_rule_r24_is_iterated_and_closed_in_one_task_and_context(self, way: str) -> None:
        seen: list[Any] = []

        async def source() -> AsyncIterator[int]:
            token, task = VARIABLE.set(1), asyncio.current_task()
            try:
                async with asyncio.timeout(LONG):
                    for number in range(3 if way == "end" else 100):
                        yield number
                        await asyncio.sleep(1)
            finally:
                await asyncio.sleep(CLEAN_UP)
                seen.append(task is asyncio.current_task())
                VARIABLE.reset(token)
                seen.append("reset")

        def work(number: int) -> int:
            return 1 // (number - 1) if way == "failure" else number

        processor = BatchProcessor(work, 2, continue_on_error=False)
        if way == "break":
            async with processor.batch_as_completed(source()) as results:
                await anext(results)
        elif way == "cancel":
            task = asyncio.create_task(processor.batch(source()))
            await asyncio.sleep(2.5)
            task.cancel()
            await raised_by(task)
        else:
            await raised_by(processor.batch(source()))
        assert seen == [True, "reset"]
        assert_only_the_caller_runs()

    async def test_rule_r24_that_is_no_coroutine_is_closed_in_its_context_too(self) -> None:
        seen: list[str] = []

        def source() -> Iterator[int]:
            token = VARIABLE.set(1)
            try:
                yield from range(100)
            finally:
                VARIABLE.reset(token)
                seen.append("reset")

        async with BatchProcessor(same, 2).batch_as_completed(source()) as results:
            await anext(results)
        assert seen == ["reset"]

    async def test_rule_r24_cleans_up_undisturbed_by_a_cancel_that_it_left_behind(self) -> None:
        seen: list[str] = []

        async def source() -> AsyncIterator[int]:
            try:
                while True:
                    cancel_current_task()
                    yield 1
            finally:
                await asyncio.sleep(CLEAN_UP)
                seen.append("cleaned")

        async with BatchProcessor(same, 1).batch_as_completed(source()) as results:
            await anext(results)
        assert seen == ["cleaned"]
        assert_only_the_caller_runs()


@pytest.mark.slow
class TestAWideRun:
    @pytest.mark.parametrize("width", [100, 5_000, 70_000])
    async def test_rule_r1_reaches_its_peak_at_any_width(self, width: int) -> None:
        started, peak, running = asyncio.Event(), 0, 0

        async def work(_: int) -> None:
            nonlocal peak, running
            advance(0.00001)
            running += 1
            peak = max(peak, running)
            if running == width:
                started.set()
            await started.wait()
            running -= 1

        await BatchProcessor(work, width).batch(range(width))
        assert peak == width

    async def test_rule_r25_costs_no_more_turns_than_its_budget_makes(self) -> None:
        """Ten thousand items of 0.1 ms need 250 turns of 4 ms, however many wait for theirs."""
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(count)

        async def work(number: int) -> None:
            advance(0.0001)
            if number == 9_999:
                all_started.set()
            await asyncio.sleep(100)

        loop, all_started = asyncio.get_running_loop(), asyncio.Event()
        running = asyncio.create_task(BatchProcessor(work, 10_000).batch(range(10_000)))
        loop.call_soon(count)
        await all_started.wait()
        assert 250 <= turns <= 2 * 250
        running.cancel()
        await raised_by(running)


class _Irritable(asyncio.Future[None]):
    """A future that raises when it is cancelled."""

    def cancel(self, msg: Any = None) -> bool:
        super().cancel(msg)
        raise ValueError("no")


async def await_irritable(item: int) -> None:
    await (_Irritable() if item == 0 else asyncio.sleep(100))


async def test_rule_r4_a_future_that_raises_when_it_is_cancelled_hides_no_end_of_the_run() -> None:
    log = log_of_the_loop()
    batch = asyncio.create_task(
        BatchProcessor(FunctionNode(await_irritable), max_concurrency=4).batch(range(4))
    )
    await asyncio.sleep(1)
    batch.cancel()
    assert isinstance(await raised_by(batch), asyncio.CancelledError)
    assert_only_the_caller_runs()
    assert [str(context["exception"]) for context in log()] == ["no"]


async def test_a_future_that_raises_when_it_is_cancelled_leaves_others_their_timeout() -> None:
    log = log_of_the_loop()
    node = FunctionNode(await_irritable).pipe(timeout(5))
    results = await BatchProcessor(node, max_concurrency=4).batch(range(4))
    assert {result.error for result in results} == {"TimeoutError: not finished within 5 s"}
    assert now() == 5
    assert [str(context["exception"]) for context in log()] == ["no"]
