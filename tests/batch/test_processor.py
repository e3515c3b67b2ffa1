"""Many inputs through one node."""

from __future__ import annotations

import asyncio
import contextvars
from collections import UserDict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import fields
from time import time
from types import MappingProxyType
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    FunctionNode,
    NodeError,
    NodeResult,
    Pipeline,
    WorkflowContext,
)

from ..stand_ins import (
    CLEAN_UP,
    FLOOR_DIVISION,
    Listener,
    Probe,
    ScriptedNode,
    assert_only_the_caller_runs,
    double,
    now,
    observed,
    raised_by,
    slowly,
)


async def _by_batch(processor: BatchProcessor, *arguments: Any) -> list[BatchResult]:
    return await processor.batch(*arguments)


async def _by_completed(processor: BatchProcessor, *arguments: Any) -> list[BatchResult]:
    return [result async for result in processor.batch_as_completed(*arguments)]


async def _by_observe(processor: BatchProcessor, *arguments: Any) -> list[BatchResult]:
    results: list[BatchResult] = []
    assert await observed(processor.observe(*arguments), results) is None
    return results


_every_way = pytest.mark.parametrize("collect", [_by_batch, _by_completed, _by_observe])


class TestEveryWay:
    """What ``batch``, ``batch_as_completed`` and ``observe`` have in common."""

    pytestmark = _every_way

    @pytest.mark.parametrize("inputs", [[], (), iter(()), range(0)])
    async def test_no_inputs_give_no_results(self, collect: Any, inputs: Any) -> None:
        assert await collect(BatchProcessor(double), inputs) == []

    async def test_a_result_says_all_about_its_input(self, collect: Any) -> None:
        metadata = {"model": "m"}

        async def script(item: float) -> NodeResult:
            await asyncio.sleep(item)
            return NodeResult(success=True, output={"out": item}, metadata=metadata)

        results = await collect(BatchProcessor(ScriptedNode(script), 1), [1.5, 2.5])
        assert results == [
            BatchResult(0, 1.5, True, {"out": 1.5}, None, 1.5, None, metadata),
            BatchResult(1, 2.5, True, {"out": 2.5}, None, 2.5, None, metadata),
        ]

    @pytest.mark.parametrize(
        "data", [{"prompt": "x"}, {}, MappingProxyType({"a": 1}), UserDict(a=1)], ids=repr
    )
    async def test_a_mapping_is_the_input_as_it_is(self, collect: Any, data: Any) -> None:
        listener = Listener()
        (result,) = await collect(BatchProcessor(listener), [data])
        assert listener.inputs[0] is data
        assert result.input_data is data

    async def test_any_other_value_is_given_in_an_envelope_and_reported_bare(
        self, collect: Any
    ) -> None:
        (result,) = await collect(BatchProcessor(lambda value: [value]), ["text"])
        assert (result.input_data, result.output) == ("text", ["text"])

    async def test_an_output_of_the_node_is_taken_as_it_is(self, collect: Any) -> None:
        (result,) = await collect(BatchProcessor(lambda _: {"item": 1}), [0])
        assert result.output == {"item": 1}

    @pytest.mark.parametrize(
        "make",
        [
            lambda: [1, 2, 3],
            lambda: (1, 2, 3),
            lambda: range(1, 4),
            lambda: {1: "a", 2: "b", 3: "c"}.keys(),
            lambda: iter([1, 2, 3]),
            lambda: (number for number in (1, 2, 3)),
            lambda: _numbers_asynchronously(3),
        ],
    )
    async def test_inputs_come_from_any_iterable(
        self, collect: Any, make: Callable[[], Any]
    ) -> None:
        results = await collect(BatchProcessor(double), make())
        assert sorted(result.output for result in results) == [2, 4, 6]
        assert sorted(result.index for result in results) == [0, 1, 2]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
    async def test_concurrency_reaches_the_limit_and_never_exceeds_it(
        self, collect: Any, limit: int
    ) -> None:
        probe = Probe()
        await collect(BatchProcessor(probe, limit), [3, 1, 2] * 5)
        assert probe.peak == min(limit, 15)
        assert len(probe.finished) == 15

    async def test_the_next_input_starts_as_soon_as_one_has_ended(self, collect: Any) -> None:
        # Two lanes: 4 s in one, 1 + 1 + 1 + 1 s in the other; in groups of two it would take 6.
        await collect(BatchProcessor(slowly, 2), [4, 1, 1, 1, 1])
        assert now() == 4

    async def test_the_default_concurrency_is_ten(self, collect: Any) -> None:
        probe = Probe()
        await collect(BatchProcessor(probe), [1] * 25)
        assert probe.peak == 10

    async def test_the_workflow_context_is_shared_by_the_run(self, collect: Any) -> None:
        context = WorkflowContext()
        listener = Listener()
        processor = BatchProcessor(listener)
        await collect(processor, [1, 2], context)
        await collect(processor, [3, 4])
        await collect(processor, [5])
        first, second, third, fourth, fifth = listener.shared
        assert first is second is context
        assert third is fourth is not context
        assert fifth is not third

    async def test_a_context_variable_set_by_one_item_is_not_seen_by_another(
        self, collect: Any
    ) -> None:
        variable = contextvars.ContextVar("variable", default="outside")
        variable.set("caller")

        async def work(item: int) -> list[str]:
            before = variable.get()
            variable.set(f"item {item}")
            await asyncio.sleep(1)
            return [before, variable.get()]

        results = await collect(BatchProcessor(work, 2), range(5))
        assert sorted(result.output for result in results) == [
            ["caller", f"item {index}"] for index in range(5)
        ]
        assert variable.get() == "caller"

    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_a_node_may_ask_for_a_task_an_item(self, collect: Any, isolate: Any) -> None:
        tasks: set[asyncio.Task[Any] | None] = set()

        async def work(_: Any) -> None:
            tasks.add(asyncio.current_task())
            await asyncio.sleep(1)

        node = FunctionNode(work)
        node.isolate = isolate
        await collect(BatchProcessor(node, 2), range(6))
        assert len(tasks) == (6 if isolate == "task" else 2)
        assert_only_the_caller_runs()

    async def test_failures_are_results_among_the_others(self, collect: Any) -> None:
        results = await collect(BatchProcessor(lambda value: 6 // value), [1, 0, 3])
        assert [(result.success, result.output, result.error) for result in results] == [
            (True, 6, None),
            (False, None, FLOOR_DIVISION),
            (True, 2, None),
        ]

    async def test_a_pipeline_is_a_node_like_any_other(self, collect: Any) -> None:
        results = await collect(BatchProcessor(Pipeline(double, double)), [1, 2])
        assert [result.output for result in results] == [4, 8]

    async def test_a_subclass_may_change_what_becomes_of_one_input(self, collect: Any) -> None:
        class Numbered(BatchProcessor):
            async def process_single(
                self, input_data: Any, index: int, workflow_context: WorkflowContext | None = None
            ) -> BatchResult:
                result = await super().process_single(input_data, index, workflow_context)
                result.metadata["number"] = index + 1
                return result

        results = await collect(Numbered(double), ["a", "b"])
        assert [result.metadata for result in results] == [{"number": 1}, {"number": 2}]


class TestBatch:
    async def test_results_are_in_input_order(self) -> None:
        results = await BatchProcessor(slowly, 3).batch([3, 1, 2])
        assert [(result.index, result.output) for result in results] == [(0, 3), (1, 1), (2, 2)]

    async def test_takes_what_an_observable_emits(self) -> None:
        results = await BatchProcessor(double).batch(Observable(_emit_one_two))
        assert [result.output for result in results] == [2, 4]

    async def test_collects_from_an_overridden_batch_as_completed(self) -> None:
        class Reversed(BatchProcessor):
            async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
                for index, value in reversed(list(enumerate(inputs))):
                    yield await self.process_single(value, index)

        results = await Reversed(double).batch([1, 2, 3])
        assert [(result.index, result.output) for result in results] == [(0, 2), (1, 4), (2, 6)]

    async def test_gives_an_override_the_workflow_context_if_there_is_one(self) -> None:
        seen: list[Any] = []

        class Noting(BatchProcessor):
            def batch_as_completed(self, *arguments: Any, **options: Any) -> Any:
                seen.append((arguments, options))
                return super().batch_as_completed(*arguments, **options)

        context = WorkflowContext()
        inputs = [1]
        await Noting(double).batch(inputs)
        await Noting(double).batch(inputs, context)
        assert seen == [((inputs,), {}), ((inputs, context), {})]

    async def test_closes_an_override_that_is_cancelled(self) -> None:
        closed: list[float] = []

        class Slow(BatchProcessor):
            async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
                try:
                    for index, value in enumerate(inputs):
                        yield await self.process_single(value, index)
                finally:
                    await asyncio.sleep(CLEAN_UP)
                    closed.append(now())

        task = asyncio.create_task(Slow(slowly).batch([1, 10]))
        await asyncio.sleep(2)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert closed == [2 + CLEAN_UP]


class TestBatchAsCompleted:
    async def test_results_come_when_they_are_there(self) -> None:
        came: list[tuple[int, float]] = []
        async for result in BatchProcessor(slowly, 3).batch_as_completed([3, 1, 2]):
            came.append((result.index, now()))
        assert came == [(1, 1), (2, 2), (0, 3)]

    async def test_nothing_starts_before_the_first_result_is_asked_for(self) -> None:
        probe = Probe()
        iterator = BatchProcessor(probe).batch_as_completed([1, 2])
        await asyncio.sleep(5)
        assert probe.started == []
        assert_only_the_caller_runs()
        assert [result.output async for result in iterator] == [1, 2]

    async def test_endless_inputs_are_pulled_a_window_ahead_of_a_slow_consumer(self) -> None:
        pulled: list[int] = []

        def endless() -> Iterator[int]:
            while True:
                pulled.append(len(pulled))
                yield pulled[-1]

        async with BatchProcessor(double, 2).batch_as_completed(endless()) as results:
            for taken in range(1, 21):
                await anext(results)
                await asyncio.sleep(1)
                assert len(pulled) <= taken + 4 * 2
        assert len(pulled) >= 20

    async def test_a_mere_observe_starts_nothing_either(self) -> None:
        probe = Probe()
        BatchProcessor(probe).observe([1, 2])
        await asyncio.sleep(5)
        assert probe.started == []


class TestObserve:
    async def test_every_subscription_is_a_run_of_its_own(self) -> None:
        probe = Probe()
        results = BatchProcessor(probe, 2).observe([1, 2])
        first: list[BatchResult] = []
        second: list[BatchResult] = []
        await asyncio.gather(observed(results, first), observed(results, second))
        assert [result.index for result in first] == [result.index for result in second] == [0, 1]
        assert probe.peak == 4

    async def test_composes_with_stock_operators(self) -> None:
        outputs: list[Any] = []
        chain = (
            BatchProcessor(double)
            .observe(range(100))
            .pipe(
                ops.filter(lambda result: result.index % 2 == 0),
                ops.map(lambda result: result.output),
                ops.take(3),
            )
        )
        assert await observed(chain, outputs) is None
        assert outputs == [0, 4, 8]

    async def test_dispose_cancels_the_run(self) -> None:
        probe = Probe()
        results: list[BatchResult] = []
        subscription = BatchProcessor(probe, 2).observe([1, 10, 10]).subscribe(results.append)
        await asyncio.sleep(3)
        subscription.dispose()
        subscription.dispose()
        await asyncio.sleep(2 * CLEAN_UP)
        assert [result.output for result in results] == [1]
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    async def test_dispose_before_an_async_source_has_started_leaves_nothing(self) -> None:
        source = _numbers_asynchronously(3)
        BatchProcessor(double).observe(source).subscribe(print).dispose()
        await asyncio.sleep(0)
        assert_only_the_caller_runs()
        await source.aclose()

    def test_needs_a_running_event_loop(self) -> None:
        results = BatchProcessor(double).observe([1])
        with pytest.raises(RuntimeError, match=r"^a run needs a running event loop: "):
            results.subscribe(print)


class TestProcessSingle:
    async def test_gives_one_result_with_the_given_index(self) -> None:
        result = await BatchProcessor(slowly).process_single(1.5, 7)
        assert result == BatchResult(7, 1.5, True, 1.5, None, 1.5)

    async def test_hands_the_workflow_context_over(self) -> None:
        context, listener = WorkflowContext({"a": 1}), Listener()
        await BatchProcessor(listener).process_single({}, 0, context)
        await BatchProcessor(listener).process_single({}, 0)
        assert listener.shared[0] is context
        assert listener.shared[1] == WorkflowContext()

    async def test_a_failure_is_a_failed_result_whatever_continue_on_error_says(self) -> None:
        processor = BatchProcessor(lambda value: 1 // value, continue_on_error=False)
        result = await processor.process_single(0, 3)
        assert (result.index, result.success) == (3, False)
        assert result.error == FLOOR_DIVISION
        assert isinstance(result.exception, ZeroDivisionError)


class TestFirstError:
    @pytest.mark.parametrize("returned", [False, True])
    async def test_is_raised_with_node_index_and_cause(self, returned: bool) -> None:
        cause = ValueError("bad")

        async def script(item: int) -> NodeResult:
            if item == 2:
                if returned:
                    return NodeResult(success=False, error="no luck")
                raise cause
            return NodeResult(success=True)

        processor = BatchProcessor(ScriptedNode(script, "translate"), continue_on_error=False)
        with pytest.raises(NodeError) as caught:
            await processor.batch(range(5))
        error = "no luck" if returned else "ValueError: bad"
        assert str(caught.value) == f"node 'translate' failed on item 2: {error}"
        assert (caught.value.index, caught.value.node_id) == (2, "translate")
        assert caught.value.__cause__ is (None if returned else cause)

    @_every_way
    async def test_does_not_matter_where_all_succeed(self, collect: Any) -> None:
        processor = BatchProcessor(double, continue_on_error=False)
        assert [result.output for result in await collect(processor, [1, 2])] == [2, 4]

    async def test_comes_after_the_results_that_were_finished(self) -> None:
        async def work(item: int) -> int:
            await asyncio.sleep(item)
            return 6 // (3 - item)

        came: list[int] = []
        error = await raised_by(_take_all(BatchProcessor(work, 9, False), [5, 3, 2, 1], came))
        assert isinstance(error, NodeError)
        assert error.index == 1
        assert came == [3, 6]


class TestArguments:
    @pytest.mark.parametrize("node", [None, 5, "node", {}, BaseNode])
    def test_the_node_must_be_one(self, node: Any) -> None:
        with pytest.raises(TypeError, match=r"^node must be a node or a function, got "):
            BatchProcessor(node)

    @pytest.mark.parametrize("value", [1, "yes", None])
    def test_continue_on_error_must_be_a_bool(self, value: Any) -> None:
        with pytest.raises(TypeError, match=r"^continue_on_error must be True or False, got "):
            BatchProcessor(double, continue_on_error=value)

    async def test_an_iterator_cannot_be_run_twice_in_silence(self) -> None:
        results = BatchProcessor(double).observe(iter([1, 2]))
        assert await observed(results, []) is None
        error = await observed(results, [])
        assert isinstance(error, RuntimeError)
        assert str(error).startswith("the inputs are an iterator, which can be run only once")


class TestBatchResult:
    def test_has_the_fields_in_their_order(self) -> None:
        assert [field.name for field in fields(BatchResult)] == [
            "index",
            "input_data",
            "success",
            "output",
            "error",
            "execution_time",
            "exception",
            "metadata",
            "started",
        ]

    def test_can_be_changed(self) -> None:
        result = BatchResult(0, {}, True)
        result.index = 7
        assert result.index == 7

    def test_leaves_the_exception_out_of_equality_and_repr(self) -> None:
        result = BatchResult(0, {}, False, None, "no luck", 1.0, ValueError("secret"))
        assert result == BatchResult(0, {}, False, None, "no luck", 1.0)
        assert "secret" not in repr(result)

    async def test_says_when_its_item_started(self) -> None:
        before = time()
        first, second, third = await BatchProcessor(lambda x: slowly(1 / x), 1).batch([1, 0, 2])
        starts = [first.started, second.started, third.started]
        assert before <= first.started <= time()
        assert [round(start - first.started, 3) for start in starts] == [0, 1, 1]
        assert "started" not in repr(first)

    def test_has_metadata_of_its_own(self) -> None:
        BatchResult(0, {}, True).metadata["a"] = 1
        assert BatchResult(0, {}, True).metadata == {}


def test_its_repr_names_the_node_and_the_concurrency() -> None:
    assert repr(BatchProcessor(double, 3)) == (
        "BatchProcessor(FunctionNode('double'), max_concurrency=3)"
    )


def test_a_misspelt_option_is_an_error_that_names_the_processor() -> None:
    with pytest.raises(TypeError, match=r"^BatchProcessor\.__init__\(\) .*'max_concurency'"):
        BatchProcessor(double, max_concurency=3)  # type: ignore[call-overload]


async def _take_all(processor: BatchProcessor, inputs: Any, into: list[Any]) -> None:
    async for result in processor.batch_as_completed(inputs):
        into.append(result.output)


async def _numbers_asynchronously(count: int) -> AsyncIterator[int]:
    for number in range(1, count + 1):
        await asyncio.sleep(1)
        yield number


def _emit_one_two(observer: Any, scheduler: Any = None) -> None:
    observer.on_next(1)
    observer.on_next(2)
    observer.on_completed()
