"""Many outputs for each item of a list."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    Event,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeError,
    NodeResult,
    OperatorNode,
    ReduceNode,
)
from nadoo_flow.policies import retry, timeout
from nadoo_flow.testing import advance

from ..stand_ins import (
    CLEAN_UP,
    ScriptedNode,
    answer,
    assert_only_the_caller_runs,
    double,
    now,
    observed,
    raised_by,
)
from ..streams.runs import in_virtual_time

FAR_TOO_MANY = 200_000

VARIABLE: ContextVar[Any] = ContextVar("VARIABLE", default="unset")

both_isolations = pytest.mark.parametrize("isolate", ["context", "task"])
both_orders = pytest.mark.parametrize("ordered", [False, True])


def pairs(item: int) -> Iterator[tuple[int, int]]:
    """Yield as many pairs as the item says."""
    for number in range(item):
        yield item, number


async def pairs_in_seconds(item: int) -> AsyncIterator[tuple[int, int]]:
    """Yield as many pairs as the item says, one a second."""
    for number in range(item):
        await asyncio.sleep(1)
        yield item, number


def forever(item: int) -> Iterator[int]:
    while True:
        advance(0.001)
        yield item


async def forever_async(item: int) -> AsyncIterator[int]:
    for output in forever(item):
        yield output


async def list_of_pairs(item: int) -> list[tuple[int, int]]:
    return list(pairs(item))


async def list_of_results(item: int) -> NodeResult:
    return NodeResult(success=True, output=list(pairs(item)))


class AsyncPairs:
    """An async iterable whose iterator has only what ``async for`` asks for."""

    def __init__(self, item: int) -> None:
        self._item = item

    def __aiter__(self) -> Any:
        return _Countdown(self._item)


class _Countdown:
    def __init__(self, item: int) -> None:
        self._left = pairs(item)

    async def __anext__(self) -> tuple[int, int]:
        for pair in self._left:
            return pair
        raise StopAsyncIteration


class Generators:
    """Counts what its generators give, and notes which of them were closed."""

    def __init__(self, length: int = FAR_TOO_MANY) -> None:
        self.length = length
        self.given = 0
        self.closed: list[int] = []

    def sync(self, item: int) -> Iterator[int]:
        try:
            for _ in range(self.length):
                self.given += 1
                yield item
        finally:
            self.closed.append(item)

    async def asynchronous(self, item: int) -> AsyncIterator[int]:
        try:
            for _ in range(self.length):
                self.given += 1
                yield item
        finally:
            await asyncio.sleep(CLEAN_UP)
            self.closed.append(item)


def isolated(child: Callable[..., Any], isolate: Any) -> FunctionNode[Any, Any]:
    node = FunctionNode[Any, Any](child)
    node.isolate = isolate
    return node


async def collected(stream: Any, into: list[Any]) -> BaseException | None:
    """Collect what a stream yields, and return what ended it."""

    async def collect() -> None:
        async with stream:
            async for value in stream:
                into.append(value)

    return await raised_by(collect())


class TestOutputs:
    @pytest.mark.parametrize(
        "child",
        [
            pairs,
            pairs_in_seconds,
            list_of_pairs,
            lambda item: AsyncPairs(item),
            lambda item: list(pairs(item)),
            lambda item: rx.from_iterable(pairs(item)),
            lambda item: dict.fromkeys(pairs(item)).keys(),
            ScriptedNode(list_of_results),
        ],
        ids=["gen", "agen", "async", "aiter", "list", "rx", "view", "node"],
    )
    async def test_are_all_that_the_child_gives_in_input_order(self, child: Any) -> None:
        node = FlatMapNode("pages", child, max_concurrency=2)
        result = await answer(node, {"items": [2, 0, 1]})
        assert result.output == {"results": [(2, 0), (2, 1), (1, 0)]}
        assert result.metadata == {"inputs": 3, "outputs": 3, "errors": []}

    @pytest.mark.parametrize("value", ["text", b"bytes", bytearray(b"b"), {"a": 1}])
    async def test_a_single_value_is_one_output(self, value: Any) -> None:
        assert await FlatMapNode("one", lambda _: value).run({"items": [0]}) == {"results": [value]}

    @pytest.mark.parametrize("value", [None, 5])
    async def test_what_is_not_many_is_refused_by_name(self, value: Any) -> None:
        result = await answer(FlatMapNode("pages", lambda _: value), {"items": [1]})
        assert result.error == (
            "item 0: TypeError: the child must give many outputs (an iterable, an async iterable "
            f"or an Observable), got {value!r} ({type(value).__name__})"
        )

    async def test_come_as_they_are_given(self) -> None:
        times: list[tuple[float, Any]] = []
        async with FlatMapNode("pages", pairs_in_seconds).stream([2, 3]) as stream:
            async for output in stream:
                times.append((now(), output))
        assert sorted(times) == [
            (1, (2, 0)),
            (1, (3, 0)),
            (2, (2, 1)),
            (2, (3, 1)),
            (3, (3, 2)),
        ]

    @both_isolations
    @pytest.mark.parametrize("child", [forever, forever_async])
    async def test_of_an_endless_child_end_in_run_with_a_cancel(
        self, child: Any, isolate: Any
    ) -> None:
        node = FlatMapNode("endless", isolated(child, isolate), max_concurrency=2)
        run = asyncio.create_task(node.run({"items": [1, 2, 3]}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        run.cancel()
        assert isinstance(await raised_by(run), asyncio.CancelledError)
        assert_only_the_caller_runs()

    async def test_an_observable_may_be_hot(self) -> None:
        ticks = rx.interval(1).pipe(ops.take(2))
        node = FlatMapNode("ticks", lambda _: ticks, max_concurrency=2)
        assert await node.run({"items": [1, 2]}) == {"results": [0, 1, 0, 1]}

    async def test_flow_through_a_chain(self) -> None:
        chain = (
            MapNode("double", double, "items", "items")
            | FlatMapNode("pairs", pairs, "items", "items")
            | FilterNode("even", lambda pair: pair[1] % 2 == 0, "items", "items")
            | FlatMapNode("twice", lambda pair: [pair[1], pair[1]], "items", "items")
            | ReduceNode("sum", lambda total, value: total + value, 0, "items")
        )
        assert await chain.run({"items": [1, 2, 3]}) == {"result": (0 + 0 + 2 + 0 + 2 + 4) * 2}

    async def test_behind_a_policy_they_come_as_they_are_given(self) -> None:
        node = FlatMapNode("p", FunctionNode(pairs_in_seconds).pipe(retry(2), timeout(10)))
        times: list[float] = []
        async with node.stream([2]) as stream:
            async for _ in stream:
                times.append(now())
        assert times == [1, 2]


class TestElsewhere:
    @pytest.mark.parametrize("child", [pairs, pairs_in_seconds])
    async def test_a_generator_function_gives_the_list_of_what_it_yields(self, child: Any) -> None:
        assert await FunctionNode(child).run(2) == [(2, 0), (2, 1)]
        assert (await MapNode("m", child).run({"items": [1, 2]}))["results"][0] == [(1, 0)]
        assert await (FunctionNode(child) | len).run(3) == 3
        batch = await BatchProcessor(child).batch([1])
        assert [result.output for result in batch] == [[(1, 0)]]


class TestDemand:
    @both_orders
    @pytest.mark.parametrize("kind", ["sync", "asynchronous"])
    async def test_rule_r27_no_more_is_pulled_than_the_window(
        self, kind: str, ordered: bool
    ) -> None:
        generators = Generators()
        node = FlatMapNode("many", getattr(generators, kind), max_concurrency=2)
        async with node.stream(range(3), ordered=ordered, max_in_flight=8) as stream:
            assert await anext(stream) == 0
            await asyncio.sleep(1)
            assert generators.given <= 8 + 1
        assert sorted(generators.closed) == [0, 1]

    @pytest.mark.parametrize(("window", "peak"), [(1, 2), (2, 2), (3, 3), (10, 10)])
    async def test_rule_r27_a_window_has_a_place_for_an_item_and_one_for_an_output(
        self, window: int, peak: int
    ) -> None:
        generators = Generators(20)
        node = FlatMapNode("many", generators.sync, max_concurrency=3)
        taken, ahead = 0, 0
        async with node.stream(range(5), max_in_flight=window) as stream:
            async for _ in stream:
                ahead = max(ahead, generators.given - taken)
                taken += 1
                await asyncio.sleep(1)
        assert (taken, ahead) == (100, peak)

    @both_orders
    @pytest.mark.parametrize("window", [1, 2, 3, 40])
    @pytest.mark.parametrize("limit", [1, 3])
    async def test_rule_r28_stages_that_make_items_never_wait_for_each_other(
        self, ordered: bool, window: int, limit: int
    ) -> None:
        spread = OperatorNode(
            ops.flat_map(lambda value: rx.from_iterable([value] * 50)),
            input_key="items",
            output_key="items",
        )
        chain = (
            FlatMapNode("a", lambda item: [item] * 3, "items", "items", limit)
            | spread
            | FlatMapNode("b", lambda item: [item] * 2, "items", "items", limit)
        )
        seen: list[int] = []
        stream = chain.stream(range(4), ordered=ordered, max_in_flight=window)
        assert await collected(stream, seen) is None
        assert sorted(seen) == sorted(list(range(4)) * 300)
        if ordered:
            assert seen == sorted(seen)


class TestOrder:
    async def test_rule_r29_outputs_of_an_item_come_before_those_of_the_next(self) -> None:
        node = FlatMapNode("pages", pairs_in_seconds, max_concurrency=3)
        times: list[tuple[float, Any]] = []
        async with node.stream([3, 1, 2], ordered=True) as stream:
            async for output in stream:
                times.append((now(), output))
        assert times == [
            (1, (3, 0)),
            (2, (3, 1)),
            (3, (3, 2)),
            (3, (1, 0)),
            (3, (2, 0)),
            (3, (2, 1)),
        ]

    async def test_rule_r29_an_endless_first_item_holds_up_no_output_of_its_own(self) -> None:
        generators = Generators()
        seen: list[int] = []
        node = FlatMapNode("many", generators.asynchronous, max_concurrency=3)
        async with node.stream(range(10), ordered=True, max_in_flight=4) as stream:
            while len(seen) < 1_000:
                seen.append(await anext(stream))
        assert seen == [0] * 1_000
        assert sorted(generators.closed) == [0, 1, 2]

    async def test_rule_r29_items_without_outputs_are_not_kept_for_the_first(self) -> None:
        pulled = 0

        def numbers() -> Iterator[int]:
            nonlocal pulled
            while pulled < FAR_TOO_MANY:
                yield pulled
                pulled += 1

        async def first_only(item: int) -> AsyncIterator[float]:
            await asyncio.sleep(0.01)
            while item == 0:
                await asyncio.sleep(1)
                yield now()

        node = FlatMapNode("many", first_only, max_concurrency=3)
        async with node.stream(numbers(), ordered=True, max_in_flight=4) as stream:
            await anext(stream)
            tracemalloc.start()
            for _ in range(10):
                await anext(stream)
            kept, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert pulled > 1_000
        assert kept < 100_000

    async def test_rule_r29_nothing_is_emitted_behind_an_item_that_fails_the_run(self) -> None:
        async def failing_first(item: int) -> AsyncIterator[tuple[int, int]]:
            yield item, 0
            if item == 0:
                await asyncio.sleep(5)
                raise ValueError("no luck")

        seen: list[Any] = []
        stream = FlatMapNode("pages", failing_first).stream(range(3), ordered=True)
        error = await collected(stream, seen)
        assert isinstance(error, NodeError)
        assert (error.index, error.error) == (0, "after 1 output: ValueError: no luck")
        assert seen == [(0, 0)]


class TestClosing:
    @both_isolations
    @both_orders
    async def test_rule_r30_a_generator_finishes_its_clean_up_when_its_output_ends_the_run(
        self, isolate: Any, ordered: bool
    ) -> None:
        generators = Generators()
        first = FlatMapNode("many", isolated(generators.asynchronous, isolate), "items", "items", 2)
        chain = first | OperatorNode(ops.take(1), input_key="items")
        seen: list[int] = []
        assert await collected(chain.stream(range(3), ordered=ordered), seen) is None
        assert seen == [0]
        assert set(generators.closed) <= {0, 1}
        assert 0 in generators.closed
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 8])
    @both_isolations
    async def test_rule_r30_whenever_it_is_cancelled_no_generator_is_left(
        self, isolate: Any, step: int
    ) -> None:
        opened: list[int] = []
        closed: list[int] = []

        async def child(item: int) -> AsyncIterator[int]:
            opened.append(item)
            try:
                for number in range(4):
                    await asyncio.sleep(1)
                    yield number
            finally:
                closed.append(item)

        chain = FlatMapNode("a", isolated(child, isolate), "items", "items", 2) | FlatMapNode(
            "b", pairs_in_seconds, "items", max_concurrency=1
        )
        consumer = asyncio.create_task(chain.run({"items": range(4)}))
        await asyncio.sleep(step + 0.5)
        consumer.cancel()
        assert isinstance(await raised_by(consumer), asyncio.CancelledError)
        assert sorted(opened) == sorted(closed)
        assert_only_the_caller_runs()

    @both_isolations
    async def test_rule_r30_a_generator_has_one_context_from_its_start_to_its_close(
        self, isolate: Any
    ) -> None:
        closed: list[Any] = []
        leaked: set[Any] = set()

        async def child(item: int) -> AsyncIterator[int]:
            assert VARIABLE.get() == "unset"
            token = VARIABLE.set(item)
            try:
                for number in range(5):
                    await asyncio.sleep(0)
                    assert VARIABLE.get() == item
                    yield number
            finally:
                VARIABLE.reset(token)
                closed.append(item)

        look = OperatorNode(
            ops.do_action(lambda _: leaked.add(VARIABLE.get())), ops.take(7), input_key="items"
        )
        chain = FlatMapNode("a", isolated(child, isolate), "items", "items", 2) | look
        assert await observed(chain.observe(range(4)), []) is None
        assert leaked == {"unset"}
        assert len(closed) >= 2

    @pytest.mark.parametrize("isolate", ["context", "task"])
    def test_rule_r4_a_loop_that_is_closed_ends_a_generator_that_swallows_its_cancel(
        self, isolate: Any
    ) -> None:
        async def stubborn(item: int) -> AsyncIterator[int]:
            while True:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
                yield item

        async def leave_open() -> None:
            node = FlatMapNode("many", isolated(stubborn, isolate), max_concurrency=3)
            left.append(node.stream(range(3), ordered=True, max_in_flight=4))
            await anext(left[0])

        left: list[Any] = []
        in_virtual_time(leave_open)

    async def test_a_generator_of_others_that_is_only_iterated_is_not_kept_open(self) -> None:
        generators = Generators(3)
        assert await FlatMapNode("many", generators.sync).run({"items": [1, 2]}) == {
            "results": [1] * 3 + [2] * 3
        }
        assert generators.closed == [1, 2]


ERRORS: list[tuple[BaseException, str]] = [
    (ValueError("no luck"), "ValueError: no luck"),
    (GeneratorExit(), "GeneratorExit"),
    (asyncio.CancelledError(), "CancelledError"),
    (StopIteration(), "RuntimeError: async generator raised StopIteration"),
    (StopAsyncIteration(), "RuntimeError: async generator raised StopAsyncIteration"),
]


class TestErrors:
    @both_isolations
    @pytest.mark.parametrize(("error", "text"), ERRORS, ids=lambda value: type(value).__name__)
    async def test_rule_r31_an_error_names_the_item_and_how_much_it_had_given(
        self, error: BaseException, text: str, isolate: Any
    ) -> None:
        async def child(item: int) -> AsyncIterator[tuple[int, int]]:
            yield item, 0
            yield item, 1
            if item == 1:
                raise error

        node = FlatMapNode("pages", isolated(child, isolate), continue_on_error=True)
        result = await answer(node, {"items": [0, 1, 2]})
        assert result.output == {"results": [(item, n) for item in range(3) for n in range(2)]}
        assert result.metadata["errors"] == [{"index": 1, "error": f"after 2 outputs: {text}"}]

    async def test_rule_r31_what_was_given_before_the_error_is_delivered(self) -> None:
        def child(item: int) -> Iterator[int]:
            yield item
            raise ValueError("no luck")

        seen: list[int] = []
        error = await collected(FlatMapNode("pages", child, max_concurrency=1).stream([7, 8]), seen)
        assert seen == [7]
        assert isinstance(error, NodeError)
        assert str(error.__cause__) == "no luck"

    @pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
    async def test_what_ends_the_program_ends_the_run(self, fatal: type[BaseException]) -> None:
        def child(item: int) -> Iterator[int]:
            yield item
            raise fatal

        with pytest.raises(fatal):
            await FlatMapNode("pages", child, continue_on_error=True).run({"items": [1]})

    async def test_rule_213_no_item_is_blamed_for_what_an_operator_behind_raises(self) -> None:
        def refuse_two(source: Observable[Any]) -> Observable[Any]:
            def subscribe(observer: Any, scheduler: Any = None) -> Any:
                def on_next(value: int) -> None:
                    if value == 2:
                        raise ZeroDivisionError("behind")
                    observer.on_next(value)

                return source.subscribe(on_next, observer.on_error, observer.on_completed)

            return Observable(subscribe)

        first = FlatMapNode("pages", lambda item: [item], "items", "items", 1, True)
        seen: list[int] = []
        chain = first | OperatorNode(refuse_two, input_key="items")
        error = await collected(chain.stream(range(5)), seen)
        assert isinstance(error, ZeroDivisionError)
        assert seen == [0, 1]

    async def test_r9_a_child_that_cancels_its_own_task_fails_its_own_item_at_most(self) -> None:
        async def child(item: int) -> AsyncIterator[tuple[int, int]]:
            yield item, 0
            if item == 1:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            await asyncio.sleep(0)
            yield item, 1

        node = FlatMapNode("pages", child, max_concurrency=1, continue_on_error=True)
        result = await answer(node, {"items": [0, 1, 2]})
        assert result.output == {"results": [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]}
        assert result.metadata["errors"] == [
            {"index": 1, "error": "after 1 output: CancelledError"}
        ]

    async def test_rule_r23_a_child_that_closes_its_own_run_fails_instead_of_waiting(self) -> None:
        async def child(item: int) -> AsyncIterator[int]:
            yield item
            await asyncio.sleep(1)
            await stream.aclose()

        stream = FlatMapNode("pages", child).stream([1])
        assert await anext(stream) == 1
        error = await raised_by(anext(stream))
        assert isinstance(error, RuntimeError)
        await stream.aclose()
        assert_only_the_caller_runs()


class TestEvents:
    async def test_an_item_ends_once_and_as_it_did(self) -> None:
        def child(item: int) -> Iterator[int]:
            yield item
            if item == 1:
                raise ValueError("no luck")

        node = FlatMapNode("pages", child, max_concurrency=1, continue_on_error=True)
        events: list[Event] = []
        node.events.subscribe(events.append)
        await node.run({"items": [0, 1, 2]})
        assert [(event.kind, event.index, event.error) for event in events if event.stage] == [
            ("started", 0, None),
            ("finished", 0, None),
            ("started", 1, None),
            ("failed", 1, "after 1 output: ValueError: no luck"),
            ("started", 2, None),
            ("finished", 2, None),
        ]

    @pytest.mark.parametrize("kind", ["sync", "asynchronous"])
    async def test_an_item_that_is_left_early_is_not_finished(self, kind: str) -> None:
        first = FlatMapNode("many", getattr(Generators(), kind), "items", "items", 1)
        events: list[Event] = []
        first.events.subscribe(events.append)
        chain = first | OperatorNode(ops.take(1), input_key="items")
        assert await collected(chain.stream(range(3)), []) is None
        assert [(event.kind, event.index) for event in events if event.stage == "many"] == [
            ("started", 0),
            ("cancelled", 0),
        ]
