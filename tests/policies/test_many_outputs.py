"""Policies around a generator function whose outputs a stage wants one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import permutations
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops

from nadoo_flow import (
    AdaptiveLimit,
    BatchProcessor,
    ConcurrencyLimit,
    Event,
    ExpandNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    OperatorNode,
    WorkflowContext,
    operators,
)
from nadoo_flow.policies import (
    CircuitBreaker,
    circuit_breaker,
    fallback,
    in_thread,
    limit,
    rate_limit,
    retry,
    timeout,
)
from nadoo_flow.policies.wrapper import PolicyNode
from nadoo_flow.testing import advance

from ..stand_ins import (
    CLEAN_UP,
    answer,
    assert_only_the_caller_runs,
    now,
    observed,
    raised_by,
)

Pair = tuple[int, int]
Timed = list[tuple[float, Any]]

KINDS: dict[str, Callable[[], Any]] = {
    "timeout": lambda: timeout(100),
    "each": lambda: timeout(100, each=True),
    "retry": lambda: retry(3, wait=1),
    "limit": lambda: limit(ConcurrencyLimit(5)),
    "adaptive limit": lambda: limit(AdaptiveLimit(5)),
    "rate_limit": lambda: rate_limit(1_000),
    "fallback": lambda: fallback(lambda _: ["other"]),
    "breaker": lambda: circuit_breaker(CircuitBreaker()),
}
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
both_isolations = pytest.mark.parametrize("isolate", ["context", "task"])


class Giving:
    """Generator functions that fail as often as they should, and what became of them.

    Attributes:
        length: Outputs of each item, one a second.
        failures: How often an item fails before the output with the number ``failing``.
        opened: When each was opened.
        given: How many outputs there were in all.
        closed: The items whose generators have been closed, in their order.
        open: How many are open.
        peak: The most that were open at a time.
    """

    def __init__(self, length: int = 3, failures: int = 0, failing: int = 0) -> None:
        self.length = length
        self.failures = failures
        self.failing = failing
        self.opened: list[float] = []
        self.given = 0
        self.closed: list[int] = []
        self.open = 0
        self.peak = 0

    async def slowly(self, item: int) -> AsyncIterator[Pair]:
        self._open()
        try:
            for number in range(self.length):
                await asyncio.sleep(1)
                yield self._give(item, number)
        finally:
            try:
                await asyncio.sleep(CLEAN_UP)
            finally:
                self._close(item)

    def at_once(self, item: int) -> Iterator[Pair]:
        self._open()
        try:
            for number in range(self.length):
                yield self._give(item, number)
        finally:
            self._close(item)

    def _open(self) -> None:
        self.opened.append(now())
        self.open += 1
        self.peak = max(self.peak, self.open)

    def _give(self, item: int, number: int) -> Pair:
        if number == self.failing and self.failures:
            self.failures -= 1
            raise ValueError(f"failed at {number}")
        self.given += 1
        return item, number

    def _close(self, item: int) -> None:
        self.open -= 1
        self.closed.append(item)


async def timed(stream: Any, pause: float = 0) -> Timed:
    """Return what a stream yields and when, if the consumer pauses after each."""
    seen: Timed = []
    async with stream:
        async for output in stream:
            seen.append((now(), output))
            await asyncio.sleep(pause)
    return seen


def piped(give: Any, *policies: Any, **options: Any) -> FlatMapNode[Any, Any]:
    node = FunctionNode[Any, Any](give, "give")
    node.isolate = options.pop("isolate", "context")
    return FlatMapNode("many", node.pipe(*policies), **options)


async def errors_of(stage: Any, items: Any) -> list[str]:
    result = await answer(stage, {"items": items})
    return [error["error"] for error in result.metadata["errors"]]


async def late_by(seconds: float) -> None:
    """Go on for some seconds after a cancel, as if nothing had been."""
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        await asyncio.sleep(seconds)


class TestEachPolicy:
    @each_kind
    async def test_rule_r32_outputs_come_as_they_are_given(self, make: Any) -> None:
        stream = piped(Giving().slowly, make()).stream([7])
        assert await timed(stream) == [(1, (7, 0)), (2, (7, 1)), (3, (7, 2))]
        assert_only_the_caller_runs()

    @each_kind
    @pytest.mark.parametrize("kind", ["slowly", "at_once"])
    async def test_rule_r27_no_more_is_pulled_than_the_window(self, make: Any, kind: str) -> None:
        giving = Giving(200)
        node = piped(getattr(giving, kind), make(), max_concurrency=2)
        async with node.stream(range(3), max_in_flight=8) as stream:
            await anext(stream)
            await asyncio.sleep(50)
            assert giving.given <= 8 + 1
        assert sorted(giving.closed) == [0, 1]
        assert_only_the_caller_runs()

    @each_kind
    async def test_an_expansion_has_them_too(self, make: Any) -> None:
        async def halves(item: int) -> AsyncIterator[int]:
            for _ in range(2 if item > 1 else 0):
                await asyncio.sleep(1)
                yield item // 2

        stage = ExpandNode("halves", FunctionNode(halves).pipe(make()))
        assert await timed(stage.stream([4])) == [
            (0, 4), (1, 2), (2, 2), (2, 1), (3, 1), (3, 1), (4, 1),
        ]  # fmt: skip

    @each_kind
    @pytest.mark.parametrize(
        "value", [[1, 2], (1, 2), rx.of(1, 2)], ids=lambda value: type(value).__name__
    )
    async def test_what_a_function_returns_is_taken_for_many(self, make: Any, value: Any) -> None:
        async def give(_: int) -> Any:
            return value

        for child in (give, lambda _: value):
            assert await piped(child, make()).run({"items": [0]}) == {"results": [1, 2]}

    @each_kind
    async def test_what_is_not_many_is_refused_by_name(self, make: Any) -> None:
        stage = piped(lambda _: 5, make(), continue_on_error=True)
        if make is KINDS["fallback"]:
            assert await stage.run({"items": [1]}) == {"results": ["other"]}
        else:
            (error,) = await errors_of(stage, [1])
            assert error == (
                "TypeError: the child must give many outputs (an iterable, an async iterable or an "
                "Observable), got 5 (int)"
            )

    @each_kind
    async def test_elsewhere_they_are_a_list(self, make: Any) -> None:
        node = FunctionNode(Giving(2).slowly).pipe(make())
        pairs = [(1, 0), (1, 1)]
        assert await node.run(1) == pairs
        assert await MapNode("m", node).run({"items": [1]}) == {"results": [pairs]}
        assert await (node | len).run(1) == 2
        (result,) = await BatchProcessor(node).batch([1])
        assert result.output == pairs

    @each_kind
    async def test_as_an_operator_they_are_flattened(self, make: Any) -> None:
        node = FunctionNode(Giving(2).slowly).pipe(make())
        seen: list[Any] = []
        assert await observed(rx.of(5).pipe(operators.flat_map(node)), seen) is None
        assert seen == [(5, 0), (5, 1)]

    @pytest.mark.parametrize("order", list(permutations(KINDS, 3)), ids="-".join)
    async def test_any_three_keep_to_the_demand_and_the_clock(self, order: Any) -> None:
        giving = Giving(30)
        stage = piped(giving.slowly, *(KINDS[name]() for name in order), max_concurrency=2)
        async with stage.stream(range(3), max_in_flight=4) as stream:
            seen = [await anext(stream) for _ in range(6)]
            await asyncio.sleep(1_000)
            assert giving.given <= 6 + 4
        assert seen == [(item, number) for number in range(3) for item in range(2)]
        assert sorted(giving.closed) == [0, 1]
        assert_only_the_caller_runs()


class TestTimeout:
    async def test_counts_for_the_whole_generator(self) -> None:
        giving = Giving(5)
        stage = piped(giving.slowly, timeout(3.5), continue_on_error=True)
        result = await answer(stage, {"items": [1]})
        assert result.output == {"results": [(1, 0), (1, 1), (1, 2)]}
        assert result.metadata["errors"] == [
            {"index": 0, "error": "after 3 outputs: TimeoutError: not finished within 3.5 s"}
        ]
        assert (now(), giving.closed) == (3.5 + CLEAN_UP, [1])

    async def test_counts_what_is_before_the_first_output(self) -> None:
        giving = Giving(1, failures=9)
        stage = piped(giving.slowly, retry(9, wait=1), timeout(5), continue_on_error=True)
        assert await errors_of(stage, [1]) == ["TimeoutError: not finished within 5 s"]
        assert giving.opened == [0, 3]

    async def test_each_counts_for_the_next_output(self) -> None:
        async def give(item: int) -> AsyncIterator[float]:
            for seconds in (1, 1.5, 1.5, 3, 1):
                await asyncio.sleep(seconds)
                yield seconds

        stage = piped(give, timeout(2, each=True), continue_on_error=True)
        result = await answer(stage, {"items": [1]})
        assert result.output == {"results": [1, 1.5, 1.5]}
        assert result.metadata["errors"] == [
            {"index": 0, "error": "after 3 outputs: TimeoutError: no output within 2 s"}
        ]
        assert now() == 6

    async def test_each_counts_for_the_end_too(self) -> None:
        async def give(item: int) -> AsyncIterator[int]:
            yield item
            await asyncio.sleep(5)

        stage = piped(give, timeout(2, each=True), continue_on_error=True)
        assert await errors_of(stage, [1]) == ["after 1 output: TimeoutError: no output within 2 s"]

    @pytest.mark.parametrize("each", [False, True])
    @pytest.mark.parametrize("kind", ["slowly", "at_once"])
    async def test_rule_r34_the_wait_for_demand_does_not_count(self, each: bool, kind: str) -> None:
        policy = timeout(7.5 if not each else 2.5, each=each)
        stage = piped(getattr(Giving(5), kind), policy, max_concurrency=1)
        seen = await timed(stage.stream([1], max_in_flight=2), pause=20)
        assert [output for _, output in seen] == [(1, number) for number in range(5)]

    async def test_a_generator_that_never_suspends_is_late_at_its_next_output(self) -> None:
        def give(item: int) -> Iterator[int]:
            for number in range(9):
                advance(1)
                yield number

        stage = piped(give, timeout(3.5), continue_on_error=True)
        assert await errors_of(stage, [1]) == [
            "after 3 outputs: TimeoutError: not finished within 3.5 s"
        ]

    @both_isolations
    async def test_a_generator_that_swallows_the_cancel_fails_all_the_same(
        self, isolate: Any
    ) -> None:
        closed: list[int] = []

        async def stubborn(item: int) -> AsyncIterator[int]:
            try:
                while True:
                    try:
                        await asyncio.sleep(10)
                    except asyncio.CancelledError:
                        yield item
            finally:
                closed.append(item)

        stage = piped(stubborn, timeout(3), continue_on_error=True, isolate=isolate)
        assert await errors_of(stage, [1, 2]) == ["TimeoutError: not finished within 3 s"] * 2
        assert (now(), closed) == (3, [1, 2])
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("cancelled_at", [3.5, 5])
    @both_isolations
    async def test_rule_r30_the_end_of_the_run_leaves_the_close_of_a_late_generator_alone(
        self, isolate: Any, cancelled_at: float
    ) -> None:
        closed: list[float] = []

        async def late(item: int) -> AsyncIterator[int]:
            try:
                await late_by(1)
                yield item
            finally:
                await asyncio.sleep(2)
                closed.append(now())

        stage = piped(late, timeout(3), fallback(late), continue_on_error=True, isolate=isolate)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(cancelled_at):
                await errors_of(stage, [1])
        assert (now(), closed) == (6, [6])
        assert_only_the_caller_runs()

    @both_isolations
    async def test_rule_r10_the_close_of_a_late_generator_has_five_seconds_more(
        self, isolate: Any
    ) -> None:
        async def late(item: int) -> AsyncIterator[int]:
            try:
                await late_by(1)
                yield item
            finally:
                await asyncio.sleep(1000)

        stage = piped(late, timeout(3), continue_on_error=True, isolate=isolate)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await errors_of(stage, [1])
        assert now() == 5 + 5
        assert_only_the_caller_runs()

    async def test_of_one_item_does_not_reach_the_next_in_its_slot(self) -> None:
        stage = piped(Giving(3).slowly, timeout(4.5), max_concurrency=1)
        result = await stage.run({"items": [1, 2, 3]})
        assert len(result["results"]) == 9

    def test_each_is_a_bool(self) -> None:
        with pytest.raises(TypeError, match=r"^each must be True or False, got 3 \(int\)$"):
            timeout(3, each=3)  # type: ignore[arg-type]
        assert repr(timeout(3, each=True)) == "timeout(3, each=True)"

    async def test_each_is_the_whole_of_a_single_answer(self) -> None:
        node = FunctionNode(Giving(5).slowly).pipe(timeout(3, each=True))
        (result,) = await BatchProcessor(node).batch([1])
        assert result.error == "TimeoutError: no output within 3 s"


class TestRetry:
    async def test_rule_r32_it_tries_again_before_the_first_output(self) -> None:
        giving = Giving(2, failures=2)
        stage = piped(giving.slowly, retry(3, wait=1))
        events: list[Event] = []
        stage.events.subscribe(events.append)
        assert await timed(stage.stream([7])) == [(7, (7, 0)), (8, (7, 1))]
        assert giving.closed == [7, 7, 7]
        assert [event.kind for event in events if event.stage] == [
            "started", "retried", "retried", "finished",
        ]  # fmt: skip

    async def test_rule_r32_a_failure_after_the_first_output_is_final(self) -> None:
        giving = Giving(3, failures=9, failing=1)
        stage = piped(giving.slowly, retry(3, wait=1), continue_on_error=True)
        result = await answer(stage, {"items": [7]})
        assert result.output == {"results": [(7, 0)]}
        assert result.metadata["errors"] == [
            {"index": 0, "error": "after 1 output: ValueError: failed at 1"}
        ]
        assert len(giving.opened) == 1

    async def test_a_later_try_may_fail_after_its_first_output(self) -> None:
        tries = 0

        async def give(item: int) -> AsyncIterator[int]:
            nonlocal tries
            tries += 1
            if tries > 1:
                yield item
            raise ValueError(f"try {tries}")

        stage = piped(give, retry(5, wait=1), continue_on_error=True)
        assert await errors_of(stage, [7]) == ["after 1 output: ValueError: try 2"]

    async def test_a_returned_failure_is_tried_again_too(self) -> None:
        answers = [NodeResult(False, error="not yet"), NodeResult(True, [1, 2])]
        stage = piped(lambda _: answers.pop(0), retry(2, wait=1))
        assert await stage.run({"items": [7]}) == {"results": [1, 2]}

    async def test_what_each_try_used_is_counted(self) -> None:
        answers = [
            NodeResult(False, error="not yet", metadata={"usage": {"tokens": 5}}),
            NodeResult(True, [1, 2], metadata={"usage": {"tokens": 2}}),
        ]
        stage = piped(lambda _: answers.pop(0), retry(2, wait=1), timeout(60))
        result = await answer(stage, {"items": [7]})
        assert (result.output, result.metadata["usage"]) == ({"results": [1, 2]}, {"tokens": 7})


class TestFallback:
    async def test_rule_r32_it_gives_the_outputs_of_another_node_before_the_first(self) -> None:
        other = Giving(2)
        stage = piped(Giving(2, failures=1).slowly, fallback(other.slowly))
        assert await timed(stage.stream([7])) == [(3, (7, 0)), (4, (7, 1))]

    async def test_rule_r32_a_failure_after_the_first_output_is_final(self) -> None:
        other = Giving(2, failures=1, failing=1)
        stage = piped(
            Giving(2, failures=1).at_once,
            fallback(other.slowly, FunctionNode(lambda _: ["third"])),
            continue_on_error=True,
        )
        assert await errors_of(stage, [7]) == [
            "after 1 output: node 'give': ValueError: failed at 0; "
            "node 'slowly': ValueError: failed at 1"
        ]
        first = piped(
            Giving(2, failures=1, failing=1).at_once, fallback(other.slowly), continue_on_error=True
        )
        assert await errors_of(first, [7]) == ["after 1 output: ValueError: failed at 1"]


class TestLimits:
    @pytest.mark.parametrize("size", [1, 2, 3])
    @pytest.mark.parametrize("kind", [ConcurrencyLimit, lambda size: AdaptiveLimit(size)])
    async def test_a_permit_is_held_to_the_end(self, size: int, kind: Any) -> None:
        giving, shared = Giving(4), kind(size)
        stage = piped(giving.slowly, limit(shared))
        assert len(await timed(stage.stream(range(6)))) == 24
        assert (giving.peak, shared.in_use) == (size, 0)

    @both_isolations
    @pytest.mark.parametrize("step", range(9))
    async def test_it_is_given_back_when_a_generator_is_closed_early(
        self, step: int, isolate: Any
    ) -> None:
        giving, shared = Giving(4), ConcurrencyLimit(2)
        stage = piped(giving.slowly, limit(shared), retry(2, wait=1), isolate=isolate)
        consumer = asyncio.create_task(timed(stage.stream(range(6)), pause=0.3))
        await asyncio.sleep(step + 0.5)
        consumer.cancel()
        assert isinstance(await raised_by(consumer), asyncio.CancelledError)
        assert (giving.open, shared.in_use) == (0, 0)
        assert_only_the_caller_runs()

    async def test_it_is_given_back_when_an_output_ends_the_run(self) -> None:
        giving, shared = Giving(4), ConcurrencyLimit(2)
        node = FunctionNode(giving.slowly).pipe(timeout(9), limit(shared))
        first = FlatMapNode("many", node, output_key="items")
        chain = first | OperatorNode(ops.take(1))
        assert await timed(chain.stream(range(6))) == [(1, (0, 0))]
        assert (giving.open, shared.in_use) == (0, 0)

    async def test_an_adaptive_limit_sees_no_wait_for_demand(self) -> None:
        shared = AdaptiveLimit(1)
        seen: list[float] = []
        shared._observe = lambda seconds, *_: seen.append(seconds)  # type: ignore[method-assign]
        stage = piped(Giving(3).slowly, limit(shared))
        await timed(stage.stream([1, 2], max_in_flight=2), pause=50)
        assert seen == [3 + CLEAN_UP] * 2

    async def test_a_rate_limit_has_a_turn_for_each_generator(self) -> None:
        giving = Giving(5)
        stage = piped(giving.slowly, rate_limit(0.5))
        assert len(await timed(stage.stream(range(3)))) == 15
        assert giving.opened == pytest.approx([0, 2, 4])


class TestCircuitBreaker:
    async def test_counts_one_call_for_each_generator(self) -> None:
        breaker = CircuitBreaker(2, recovery=100)
        giving = Giving(3, failures=2, failing=1)
        stage = piped(
            giving.slowly, circuit_breaker(breaker), max_concurrency=1, continue_on_error=True
        )
        errors = await errors_of(stage, range(4))
        assert errors[:2] == ["after 1 output: ValueError: failed at 1"] * 2
        assert errors[2].startswith("CircuitOpen: ")
        assert (breaker.state, giving.given) == ("open", 2)

    async def test_a_generator_that_is_closed_early_counts_for_nothing(self) -> None:
        breaker = CircuitBreaker(1, recovery=1)
        giving = Giving(3, failures=1)
        stage = piped(giving.slowly, circuit_breaker(breaker))
        assert isinstance(await raised_by(timed(stage.stream([1]))), NodeError)
        await asyncio.sleep(1)
        async with stage.stream([1]) as stream:
            await anext(stream)
            assert breaker.state == "half-open"
        assert len(await timed(stage.stream([1]))) == 3
        assert str(breaker.state) == "closed"


class TestPoliciesOfUsers:
    async def test_one_that_overrides_attempt_has_the_list(self) -> None:
        class Twice(PolicyNode):
            async def execute(self, node_context: NodeContext, shared: WorkflowContext) -> Any:
                await self.attempt(node_context, shared)
                return await self.attempt(node_context, shared)

        class Naming(type(FunctionNode(len).pipe(retry()))):  # type: ignore[misc]
            async def attempt(self, node_context: NodeContext, shared: WorkflowContext) -> Any:
                result = await super().attempt(node_context, shared)
                return NodeResult(True, [*result.output, "more"])

        giving = Giving(2)
        stage = FlatMapNode("many", Twice(giving.slowly))
        assert await timed(stage.stream([1])) == [(6, (1, 0)), (6, (1, 1))]
        inner = FunctionNode(Giving(1).slowly).pipe(retry())
        naming = Naming(inner, inner._rules)  # type: ignore[attr-defined]
        stage = FlatMapNode("many", naming)
        assert [output for _, output in await timed(stage.stream([1]))] == [(1, 0), "more"]

    def test_in_thread_refuses_what_yields(self) -> None:
        with pytest.raises(TypeError, match=r"^in_thread\(\) is for functions that block"):
            FunctionNode(Giving().slowly).pipe(in_thread())

    async def test_in_thread_may_return_many(self) -> None:
        stage = piped(lambda item: [item, item], in_thread(), retry(2))
        assert await stage.run({"items": [1, 2]}) == {"results": [1, 1, 2, 2]}


class TestNothingHangs:
    """What an item holds others may have while its outputs wait for demand."""

    @pytest.mark.parametrize("keyed", [False, True])
    async def test_rule_r33_a_later_item_gives_its_permit_to_an_earlier_one(
        self, keyed: bool
    ) -> None:
        giving = Giving(50, failures=1)
        shared = ConcurrencyLimit(1)
        stage = piped(
            giving.slowly,
            limit(shared),
            retry(2, wait=1),
            max_concurrency=3,
            key=(lambda item: item % 2) if keyed else None,
        )
        seen = await timed(stage.stream(range(4), ordered=True, max_in_flight=5))
        assert [output for _, output in seen] == [(i, n) for i in range(4) for n in range(50)]
        assert shared.in_use == 0

    async def test_rule_r33_a_stage_behind_may_have_the_same_limit(self) -> None:
        shared = ConcurrencyLimit(1)
        running = peak = 0

        async def work(pair: Pair) -> Pair:
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(1)
            running -= 1
            return pair

        node = FunctionNode(Giving(30).at_once).pipe(limit(shared))
        chain = FlatMapNode("many", node, output_key="items") | MapNode(
            "work", FunctionNode(work).pipe(limit(shared))
        )
        seen = await timed(chain.stream(range(3), max_in_flight=4))
        assert (len(seen), peak, shared.in_use) == (90, 1, 0)

    async def test_rule_r33_a_consumer_may_use_the_same_limit(self) -> None:
        shared = ConcurrencyLimit(1)
        call = FunctionNode(lambda pair: pair).pipe(limit(shared))
        seen: list[Pair] = []
        async with piped(Giving(20).slowly, limit(shared)).stream([1], max_in_flight=2) as stream:
            async for pair in stream:
                seen.append(await call.run(pair))
        assert (len(seen), shared.in_use) == (20, 0)

    @pytest.mark.parametrize("nestings", [1, 2, 3])
    async def test_rule_r33_a_permit_of_a_nesting_comes_back_whole(self, nestings: int) -> None:
        shared = ConcurrencyLimit(2)
        policies = [limit(shared) for _ in range(nestings)]
        giving = Giving(5)
        stage = piped(giving.slowly, *policies)
        seen = await timed(stage.stream(range(5), max_in_flight=2), pause=3)
        assert (len(seen), shared.in_use) == (25, 0)

    @pytest.mark.parametrize("step", range(12))
    async def test_rule_r33_a_cancel_while_others_have_the_permit_gives_no_permit_back_twice(
        self, step: int
    ) -> None:
        shared = ConcurrencyLimit(1)
        stage = piped(Giving(9).slowly, limit(shared), limit(shared), max_concurrency=3)
        consumer = asyncio.create_task(timed(stage.stream(range(3), max_in_flight=3), pause=2))
        await asyncio.sleep(step + 0.25)
        assert shared.in_use in (0, 1)
        consumer.cancel()
        assert isinstance(await raised_by(consumer), asyncio.CancelledError)
        assert shared.in_use == 0

    async def test_rule_r33_no_more_are_at_work_than_there_are_permits(self) -> None:
        shared = ConcurrencyLimit(2)
        working = peak = 0

        async def give(item: int) -> AsyncIterator[int]:
            nonlocal working, peak
            for number in range(6):
                working += 1
                peak = max(peak, working)
                await asyncio.sleep(1)
                working -= 1
                yield number

        stage = piped(give, limit(shared), max_concurrency=5)
        assert len(await timed(stage.stream(range(7), max_in_flight=6), pause=0.7)) == 42
        assert (peak, shared.in_use) == (2, 0)

    async def test_rule_r33_a_probe_that_waits_for_an_earlier_item_lets_that_one_be_it(
        self,
    ) -> None:
        breaker = CircuitBreaker(1, recovery=0.5)
        stage = piped(
            Giving(50, failures=1).slowly, circuit_breaker(breaker, wait=True), retry(2, wait=9),
        )  # fmt: skip
        seen = await timed(stage.stream(range(4), ordered=True, max_in_flight=3))
        assert [output for _, output in seen] == [(i, n) for i in range(4) for n in range(50)]

    async def test_rule_r33_a_permit_whose_lender_has_gone_is_one_of_the_limit(self) -> None:
        shared = ConcurrencyLimit(1)
        inner = piped(Giving(6).slowly, limit(shared))
        consumers: list[asyncio.Task[Timed]] = []

        async def leave_behind(item: int) -> int:
            stream = inner.stream([item], max_in_flight=2)
            consumers.append(asyncio.create_task(timed(stream, pause=4)))
            await asyncio.sleep(1.5)
            return item

        outer = FunctionNode[Any, Any](leave_behind).pipe(limit(shared))
        assert await outer.run(1) == 1
        while not consumers[0].done():
            assert shared.in_use in (0, 1)
            await asyncio.sleep(0.25)
        assert (len(consumers[0].result()), shared.in_use) == (6, 0)

    async def test_rule_r33_a_probe_whose_outputs_wait_is_none_any_more(self) -> None:
        breaker = CircuitBreaker(1, recovery=1)
        failing = FunctionNode(Giving(1, failures=9).slowly).pipe(circuit_breaker(breaker))
        await raised_by(failing.run(1))
        await asyncio.sleep(2)
        stage = piped(Giving(9).slowly, circuit_breaker(breaker))
        async with stage.stream([1], max_in_flight=2) as stream:
            await anext(stream)
            await asyncio.sleep(9)
            assert breaker.state == "half-open"
            await raised_by(failing.run(1))
            assert str(breaker.state) == "open"
            assert len([output async for output in stream]) == 8
        assert str(breaker.state) == "open"

    @pytest.mark.parametrize("size", [1, 2])
    async def test_rule_r33_a_permit_is_held_while_a_worker_of_its_own_has_it(
        self, size: int
    ) -> None:
        shared = ConcurrencyLimit(size)
        inner = FunctionNode[Any, Any](lambda value: asyncio.sleep(5, value)).pipe(limit(shared))

        async def give(item: int) -> AsyncIterator[int]:
            left = asyncio.create_task(inner.run(item))
            await asyncio.sleep(1)
            for number in range(9):
                yield number
            await left

        stage = piped(give, limit(shared))
        assert len(await timed(stage.stream(range(3), max_in_flight=2), pause=1)) == 27
        assert shared.in_use == 0
