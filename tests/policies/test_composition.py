"""Policies compose in any order, and the order means what it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    DynamicBatchProcessor,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ParallelNode,
    ParallelStrategy,
    Pipeline,
    WorkflowContext,
)
from nadoo_flow.nodes.node import Policy
from nadoo_flow.policies import (
    CircuitBreaker,
    RateBudget,
    cache,
    circuit_breaker,
    fallback,
    hedge,
    limit,
    rate_limit,
    retry,
    timeout,
)

from ..stand_ins import Probe, assert_only_the_caller_runs, now, raised_by, slowly
from .services import Flaky, outcome
from .test_rate_limit import Starts, most_in_a_window

LATE = "TimeoutError: not finished within 5 s"

EVERY_POLICY: dict[str, Callable[[], Policy]] = {
    "retry": lambda: retry(3, wait=1),
    "timeout": lambda: timeout(100),
    "rate_limit": lambda: rate_limit(10),
    "rate budget": lambda: rate_limit(RateBudget(per=1, requests=10)),
    "limit": lambda: limit(ConcurrencyLimit(5)),
    "adaptive limit": lambda: limit(AdaptiveLimit(5)),
    "hedge": lambda: hedge(50, ratio=1),
    "cache": cache,
    "circuit_breaker": lambda: circuit_breaker(CircuitBreaker(100)),
    "fallback": lambda: fallback(lambda _: "other"),
}
KINDS = ("retry", "timeout", "rate_limit", "limit", "fallback", "cache")
every_policy = pytest.mark.parametrize("make", EVERY_POLICY.values(), ids=EVERY_POLICY)


class TestOrder:
    async def test_a_timeout_inside_a_retry_is_for_each_try(self) -> None:
        probe = Probe()
        node = FunctionNode(probe).pipe(timeout(5), retry(3, wait=1))
        result = await outcome(node, {"item": 100})
        assert (result.error, result.metadata) == (LATE, {"attempts": 3})
        assert now() == 3 * (5 + 1) + 2 * 1
        assert probe.cleaned == [100, 100, 100]

    async def test_a_timeout_around_a_retry_is_for_all_tries_together(self) -> None:
        flaky = Flaky(seconds=1)
        node = FunctionNode(flaky).pipe(retry(9, wait=1), timeout(5))
        result = await outcome(node, {"name": "it", "failures": 9})
        assert (result.error, result.metadata) == (LATE, {})
        assert (flaky.tries["it"], now()) == ([0, 2, 4], 5)

    async def test_a_timeout_inside_a_limit_does_not_count_the_wait_for_a_permit(self) -> None:
        shared = limit(ConcurrencyLimit(1))
        inside = FunctionNode(slowly).pipe(timeout(5), shared)
        results = await BatchProcessor(inside).batch([4, 4, 4])
        assert [result.error for result in results] == [None, None, None]

    async def test_a_timeout_around_a_limit_counts_it(self) -> None:
        shared = limit(ConcurrencyLimit(1))
        around = FunctionNode(slowly).pipe(shared, timeout(5))
        results = await BatchProcessor(around).batch([4, 4, 4])
        assert [result.error for result in results] == [None, LATE, LATE]
        assert now() == 5

    async def test_a_retry_inside_a_fallback_comes_first(self) -> None:
        flaky = Flaky()
        node = FunctionNode(flaky).pipe(retry(2, wait=1), fallback(lambda _: "other"))
        result = await outcome(node, {"name": "it", "failures": 9})
        assert (len(flaky.tries["it"]), result.output, now()) == (2, "other", 1)

    async def test_a_retry_around_a_fallback_comes_last(self) -> None:
        flaky, other = Flaky(), Flaky()
        node = FunctionNode(flaky).pipe(fallback(FunctionNode(other, "other")), retry(3, wait=1))
        result = await outcome(node, {"name": "it", "failures": 2})
        assert (flaky.tries["it"], other.tries["it"]) == ([0, 1, 2], [0, 1])
        assert result.metadata == {"attempts": 3}

    async def test_a_rate_limit_inside_a_limit_stays_strict(self) -> None:
        starts = Starts(seconds=0.2)
        shared = ConcurrencyLimit(5)
        node = FunctionNode(starts).pipe(rate_limit(2), limit(shared))
        await _held_up(shared, BatchProcessor(node, 20).batch(range(20)))
        assert most_in_a_window(starts, 1) == 2

    async def test_a_rate_limit_around_a_limit_lets_what_waited_for_a_permit_burst(self) -> None:
        # This is why the recommended order is the other one.
        starts = Starts(seconds=0.2)
        shared = ConcurrencyLimit(5)
        node = FunctionNode(starts).pipe(limit(shared), rate_limit(2))
        await _held_up(shared, BatchProcessor(node, 20).batch(range(20)))
        assert most_in_a_window(starts, 1) == 20

    @pytest.mark.parametrize("order", list(permutations(KINDS)), ids="-".join)
    async def test_may_be_any(self, order: tuple[str, ...]) -> None:
        flaky = Flaky(seconds=0.5)
        node = FunctionNode(flaky).pipe(*(EVERY_POLICY[name]() for name in order))
        results = await BatchProcessor(node, 4).batch(
            [{"name": n, "failures": n % 2} for n in range(4)]
        )
        helped = "other" if order.index("fallback") < order.index("retry") else None
        assert [result.output for result in results] == [0, helped or 1, 2, helped or 3]
        assert all(result.success for result in results)
        assert_only_the_caller_runs()


async def _held_up(shared: ConcurrencyLimit, work: Any) -> None:
    """Do some work behind a limit whose permits are all taken for the first ten seconds."""
    busy = [FunctionNode(slowly).pipe(limit(shared)).run(10) for _ in range(shared.size)]
    await asyncio.gather(*busy, work)


class TestTheRecommendedStack:
    async def test_behaves_in_every_respect(self) -> None:
        starts: list[float] = []
        tries: dict[int, int] = {}

        async def call(item: int) -> str:
            starts.append(now())
            tries[item] = tries.get(item, 0) + 1
            if item % 10 == 3 and tries[item] < 3:
                raise ConnectionError("reset")
            await asyncio.sleep(100 if item % 10 == 7 else 0.3)
            return f"answer {item}"

        shared = ConcurrencyLimit(3)
        node = FunctionNode(call, "large").pipe(
            timeout(1),
            rate_limit(10),
            limit(shared),
            retry(3, wait=0.5),
            fallback(FunctionNode(lambda item: f"small answer {item}", "small")),
        )
        results = await BatchProcessor(node, 20).batch(range(50))
        for item, result in enumerate(results):
            if item % 10 == 7:
                assert result.output == f"small answer {item}"
                assert result.metadata == {"fallback": "small"}
            else:
                assert result.output == f"answer {item}"
                assert result.metadata == {"attempts": 3 if item % 10 == 3 else 1}
        assert most_in_a_window(starts, 1) <= 10
        assert len(starts) == 50 + 2 * 5 + 2 * 5
        assert shared.in_use == 0


class TestWhatIsWrapped:
    @every_policy
    async def test_keeps_its_name_and_settings(self, make: Any) -> None:
        class Node(BaseNode):
            pass

        inside = Node("api", node_type="llm", name="The API", config={"temperature": 0})
        node = inside.pipe(make())
        assert (node.node_id, node.node_type, node.name) == ("api", "llm", "The API")
        assert node.config is inside.config
        assert repr(node).endswith("(Node('api'))")

    @every_policy
    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_keeps_its_isolation(self, make: Any, isolate: Any) -> None:
        seen: list[Any] = []

        async def who(_: Any) -> None:
            seen.append(asyncio.current_task())
            await asyncio.sleep(1)

        inside = FunctionNode(who)
        inside.isolate = isolate
        node = inside.pipe(make(), make())
        assert node.isolate == isolate
        await BatchProcessor(Pipeline(node, repr), 1).batch(range(3))
        assert len(set(seen)) == (3 if isolate == "task" else 1)

    async def test_isolates_if_what_may_answer_for_it_does(self) -> None:
        other = FunctionNode(repr, "other")
        other.isolate = "task"
        assert FunctionNode(abs).pipe(fallback(repr, other)).isolate == "task"
        assert FunctionNode(abs).pipe(fallback(repr)).isolate == "context"

    @every_policy
    async def test_gets_the_input_and_the_runs_own_context(self, make: Any) -> None:
        class Node(BaseNode):
            async def execute(
                self, node_context: NodeContext, workflow_context: WorkflowContext
            ) -> NodeResult:
                workflow_context.variables["seen"] = node_context.input_data
                return NodeResult(True, "output", metadata={"tokens": 7})

        shared, data = WorkflowContext(), {"prompt": "x"}
        (result,) = await BatchProcessor(Node().pipe(make())).batch([data], shared)
        assert shared.variables["seen"] is data
        assert (result.output, result.metadata["tokens"]) == ("output", 7)

    @every_policy
    async def test_may_be_a_pipeline(self, make: Any) -> None:
        node = Pipeline(slowly, lambda seconds: seconds * 2).pipe(make())
        results = await BatchProcessor(node).batch([1, 2])
        assert [result.output for result in results] == [2, 4]

    @every_policy
    async def test_may_be_a_node_of_a_pipeline(self, make: Any) -> None:
        node = FunctionNode(slowly).pipe(make()) | (lambda seconds: seconds * 2)
        assert await node.run(1) == 2

    @every_policy
    async def test_may_be_a_list_stage_between_others(self, make: Any) -> None:
        first = MapNode("first", lambda n: n + 1, "a", "b").pipe(make())
        last = FilterNode("last", lambda n: n > 2, "b", "c")
        assert await (first | last).run({"a": [1, 2, 3]}) == {"c": [3, 4]}

    @every_policy
    async def test_may_be_a_parallel_node_inside_a_list_stage(self, make: Any) -> None:
        both = ParallelNode(
            [FunctionNode(slowly, "a").pipe(make()), FunctionNode(str, "b")],
            ParallelStrategy.ALL,
        )
        node = MapNode("map", both.pipe(make()), max_concurrency=2).pipe(make())
        result = await outcome(node, {"items": [1, 2]})
        assert result.output == {"results": [{"a": 1, "b": "1"}, {"a": 2, "b": "2"}]}

    @every_policy
    async def test_fails_under_its_own_name(self, make: Any) -> None:
        def fail(_: Any) -> None:
            raise ValueError("no")

        node = MapNode("map", FunctionNode(fail, "api").pipe(make()), continue_on_error=True)
        if make is EVERY_POLICY["fallback"]:
            assert await node.run({"items": [1]}) == {"results": ["other"]}
        else:
            result = await outcome(Pipeline(node.child_node, repr), {"item": 1})
            assert result.error == "stage 'api': ValueError: no"

    async def test_may_be_wrapped_by_any_function(self) -> None:
        def twice(node: BaseNode) -> BaseNode:
            async def run(item: Any) -> list[Any]:
                return [await node.run(item), await node.run(item)]

            return FunctionNode(run, node.node_id)

        flaky = Flaky(seconds=1)
        node = FunctionNode(flaky).pipe(retry(2, wait=1), twice, timeout(10))
        assert await node.run({"name": "it", "failures": 1}) == ["it", "it"]
        assert flaky.tries["it"] == [0, 2, 3]

    @every_policy
    async def test_lets_what_is_fatal_through(self, make: Any) -> None:
        def fail(_: Any) -> None:
            raise KeyboardInterrupt

        node = FunctionNode(fail).pipe(make())
        assert isinstance(await raised_by(BatchProcessor(node).batch([1])), KeyboardInterrupt)
        assert_only_the_caller_runs()


POSITIVE_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "seconds": timeout,
    "rate": rate_limit,
    "per": lambda value: rate_limit(1, per=value),
    "per of a budget": lambda value: RateBudget(per=value, requests=1),
    "requests": lambda value: RateBudget(per=1, requests=value),
    "usd": lambda value: RateBudget(per=1, requests=1, usd=value),
    "longest_wait": lambda value: RateBudget(per=1, requests=1, longest_wait=value),
    "target_latency": lambda value: AdaptiveLimit(target_latency=value),
    "target_time": lambda value: DynamicBatchProcessor(slowly, target_time=value),
}
POSITIVE_INTS: dict[str, Callable[[Any], Any]] = {
    "attempts": retry,
    "max_concurrency": ConcurrencyLimit,
    "initial": AdaptiveLimit,
    "minimum": lambda value: AdaptiveLimit(minimum=value),
    "maximum": lambda value: AdaptiveLimit(maximum=value),
    "chunk_size": lambda value: BatchProcessor(slowly).batch_in_chunks([], value),
}
NAN, INF = float("nan"), float("inf")


class TestABadValue:
    @pytest.mark.parametrize("parameter", POSITIVE_NUMBERS)
    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            *((value, ValueError) for value in (0, -1, 0.0, -0.5, NAN, INF, -INF, 10**400)),
            *((value, TypeError) for value in (True, False, "5", [5], 5j, object, slowly)),
        ],
        ids=lambda value: getattr(value, "__name__", repr(value)),
    )
    def test_for_a_positive_number_is_told_at_construction(
        self, parameter: str, value: Any, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind, match=rf"^{parameter.split()[0]} must be "):
            POSITIVE_NUMBERS[parameter](value)

    @pytest.mark.parametrize("parameter", POSITIVE_INTS)
    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            *((value, ValueError) for value in (0, -1, NAN)),
            *((value, TypeError) for value in (True, False, 1.0, 2.5, INF, "5", None, [5])),
        ],
        ids=lambda value: getattr(value, "__name__", repr(value)),
    )
    def test_for_a_positive_int_is_told_at_construction(
        self, parameter: str, value: Any, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind, match=rf"^{parameter} must be "):
            POSITIVE_INTS[parameter](value)

    @pytest.mark.parametrize(
        ("make", "kind", "words"),
        [
            (lambda: retry(wait=-1), ValueError, "wait must not be negative, got -1"),
            (lambda: retry(wait=NAN), ValueError, "wait must be a finite number, got nan"),
            (lambda: retry(wait=INF), ValueError, "wait must be a finite number, got inf"),
            (lambda: retry(wait=True), TypeError, "wait must be a number, got True"),
            (lambda: retry(wait="5"), TypeError, "wait must be a number, got '5'"),  # type: ignore[arg-type]
            (lambda: retry(wait=float), TypeError, "wait must be seconds or a wait strategy"),  # type: ignore[arg-type]
            (lambda: retry(retry_on=3), TypeError, "retry_on must be exception classes or a"),  # type: ignore[arg-type]
            (lambda: retry(retry_on=()), TypeError, "retry_on must be"),
            (lambda: retry(retry_on=int), TypeError, "retry_on must be"),  # type: ignore[arg-type]
            (lambda: retry(retry_on=(OSError, 3)), TypeError, "retry_on must be"),  # type: ignore[arg-type]
            (lambda: retry(retry_on=ValueError()), TypeError, "retry_on must be"),  # type: ignore[arg-type]
            (lambda: limit(5), TypeError, "shared must be a ConcurrencyLimit or an"),  # type: ignore[arg-type]
            (lambda: limit(None), TypeError, "shared must be"),  # type: ignore[arg-type]
            (lambda: limit(ConcurrencyLimit), TypeError, "shared must be"),  # type: ignore[arg-type]
            (lambda: limit(asyncio.Semaphore(5)), TypeError, "shared must be"),  # type: ignore[arg-type]
            (lambda: fallback(), ValueError, "others must hold at least one node"),
            (lambda: fallback(3), TypeError, "each of others must be a node or a function"),  # type: ignore[call-overload]
            (lambda: fallback(repr, None), TypeError, "each of others must be"),  # type: ignore[call-overload]
            (lambda: fallback(BaseNode), TypeError, "make an instance of it first"),
        ],
    )
    def test_of_another_kind_is_told_at_construction(
        self, make: Callable[[], Any], kind: type[Exception], words: str
    ) -> None:
        with pytest.raises(kind, match=words):
            make()
