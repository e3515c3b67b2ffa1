"""retry: attempts counted, waits kept, and no item mixed up with another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import tenacity
from hypothesis import given, settings
from hypothesis import strategies as st

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FunctionNode,
    NodeContext,
    NodeError,
    NodeResult,
    WorkflowContext,
)
from nadoo_flow.policies import retry, signals

from ..stand_ins import ScriptedNode, assert_only_the_caller_runs, now, raised_by
from ..streams.runs import in_virtual_time
from .services import Clock, Fail, Flaky, HttpError, Response, outcome, raises, returns

either_way = pytest.mark.parametrize("fail", [raises, returns])
"""For a failure that is raised, and one that is returned."""


def item(failures: int, name: Any = "it") -> dict[str, Any]:
    return {"name": name, "failures": failures}


class TestAttempts:
    @either_way
    @pytest.mark.parametrize("failures", [0, 1, 2])
    async def test_end_with_the_first_success(self, fail: Fail, failures: int) -> None:
        flaky = Flaky(fail)
        result = await outcome(FunctionNode(flaky).pipe(retry(3, wait=10)), item(failures))
        assert result == NodeResult(True, "it", None, {"attempts": failures + 1})
        assert flaky.tries["it"] == [10.0 * n for n in range(failures + 1)]

    @either_way
    @pytest.mark.parametrize("attempts", [1, 2, 5])
    async def test_are_used_up(self, fail: Fail, attempts: int) -> None:
        flaky = Flaky(fail, seconds=1)
        result = await outcome(FunctionNode(flaky).pipe(retry(attempts, wait=10)), item(99))
        assert result.error == f"ValueError: it failed, try {attempts}"
        assert (result.success, result.metadata) == (False, {"attempts": attempts})
        assert flaky.tries["it"] == [11.0 * n for n in range(attempts)]
        # There is no wait behind the last one.
        assert now() == 11 * attempts - 10

    async def test_are_three_unless_told_otherwise(self) -> None:
        flaky = Flaky()
        await outcome(FunctionNode(flaky).pipe(retry()), item(99))
        assert len(flaky.tries["it"]) == 3

    async def test_the_last_failure_is_seen_with_all_that_belongs_to_it(self) -> None:
        errors = [ValueError("first"), LookupError("second"), KeyError("never")]

        def fail(_: Any) -> NodeResult:
            error = errors.pop(0)
            return NodeResult(False, "partly", str(error), {"tokens": len(errors)}, error)

        result = await outcome(ScriptedNode(_async(fail)).pipe(retry(2, wait=0)), {"item": 0})
        assert (result.output, result.error) == ("partly", "second")
        assert result.metadata == {"tokens": 1, "attempts": 2}
        assert isinstance(result.exception, LookupError)

    async def test_a_raised_failure_keeps_its_exception(self) -> None:
        result = await outcome(FunctionNode(Flaky()).pipe(retry(2, wait=0)), item(99))
        assert isinstance(result.exception, ValueError)
        assert result.exception.__traceback__ is not None
        with pytest.raises(NodeError, match="node 'api' failed: ValueError: it failed, try 2"):
            await FunctionNode(Flaky(), "api").pipe(retry(2, wait=0)).run(item(99))

    async def test_a_wrong_kind_of_answer_is_a_failure_too(self) -> None:
        answers: list[Any] = [None, {"text": "x"}, NodeResult(True, "right")]
        node = ScriptedNode(_async(lambda _: answers.pop(0)))
        result = await outcome(node.pipe(retry(3, wait=0)), {"item": 0})
        assert (result.output, result.metadata) == ("right", {"attempts": 3})

    async def test_a_failure_without_a_message_is_tried_again(self) -> None:
        node = ScriptedNode(_async(lambda _: NodeResult(success=False)))
        result = await outcome(node.pipe(retry(2, wait=0)), {"item": 0})
        assert result.error == "the node reported a failure without a message"
        assert result.metadata == {"attempts": 2}

    async def test_of_two_retries_multiply_and_the_outer_one_tells(self) -> None:
        flaky = Flaky()
        node = FunctionNode(flaky).pipe(retry(2, wait=1), retry(3, wait=10))
        result = await outcome(node, item(4))
        assert flaky.tries["it"] == [0, 1, 11, 12, 22]
        assert (result.output, result.metadata) == ("it", {"attempts": 3})

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    async def test_what_is_fatal_is_not_tried_again(self, error: type[BaseException]) -> None:
        tries: list[float] = []

        def fail(_: Any) -> None:
            tries.append(now())
            raise error

        node = FunctionNode(fail).pipe(retry(3, wait=1, retry_on=BaseException))
        assert isinstance(await raised_by(node.run(0)), error)
        assert tries == [0]

    async def test_a_failure_that_becomes_fatal_ends_the_run(self) -> None:
        errors: list[BaseException] = [ValueError(), KeyboardInterrupt()]

        def fail(_: Any) -> None:
            raise errors.pop(0)

        node = FunctionNode(fail).pipe(retry(3, wait=1))
        assert isinstance(await raised_by(BatchProcessor(node).batch([0])), KeyboardInterrupt)
        assert_only_the_caller_runs()


class TestRetryOn:
    @pytest.mark.parametrize("parameter", ["retry_on", "give_up_on"])
    def test_rule_r18_is_refused_where_it_would_always_be_true(self, parameter: str) -> None:
        async def later(error: BaseException) -> bool:
            return False

        def one_by_one(error: BaseException) -> Iterator[bool]:
            yield False

        for predicate in (later, one_by_one):
            with pytest.raises(TypeError, match=f"^{parameter} must be a function that "):
                retry(3, **{parameter: predicate})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("retry_on", "attempts"),
        [
            (ValueError, 3),
            (LookupError, 1),
            ((LookupError, ValueError), 3),
            ((LookupError, TypeError), 1),
            (lambda error: "try" in str(error), 3),
            (lambda error: "else" in str(error), 1),
            (lambda error: "try 1" in str(error), 2),
        ],
    )
    async def test_says_which_failures_are_worth_it(self, retry_on: Any, attempts: int) -> None:
        flaky = Flaky(raises)
        node = FunctionNode(flaky).pipe(retry(3, wait=1, retry_on=retry_on))
        result = await outcome(node, item(99))
        assert len(flaky.tries["it"]) == attempts
        assert result.error == f"ValueError: it failed, try {attempts}"
        assert result.metadata == {"attempts": attempts}

    @pytest.mark.parametrize(
        ("retry_on", "attempts"),
        [
            (NodeError, 3),
            (ValueError, 1),
            (Exception, 3),
            (lambda error: error.error.endswith("1"), 2),
            (lambda error: error.node_id == "api", 3),
        ],
    )
    async def test_takes_a_returned_failure_for_a_node_error(
        self, retry_on: Any, attempts: int
    ) -> None:
        flaky = Flaky(returns)
        node = FunctionNode(flaky, "api").pipe(retry(3, wait=1, retry_on=retry_on))
        result = await outcome(node, item(99))
        assert len(flaky.tries["it"]) == attempts
        assert result.exception is None

    async def test_sees_the_exception_of_a_returned_failure(self) -> None:
        seen: list[BaseException] = []
        error = HttpError(status_code=500)
        node = ScriptedNode(_async(lambda _: NodeResult(False, error="no", exception=error)))

        def predicate(error: BaseException) -> bool:
            seen.append(error)
            return False

        await outcome(node.pipe(retry(3, retry_on=predicate)), {"item": 0})
        assert seen == [error]

    async def test_a_cancelled_error_out_of_nowhere_is_no_exception(self) -> None:
        tries: list[float] = []

        def fail(_: Any) -> None:
            tries.append(now())
            raise asyncio.CancelledError

        node = FunctionNode(fail)
        await outcome(node.pipe(retry(3, wait=1)), {"item": 0})
        assert tries == [0]
        await outcome(node.pipe(retry(3, wait=1, retry_on=asyncio.CancelledError)), {"item": 0})
        assert tries == [0, 0, 1, 2]

    async def test_a_predicate_that_fails_fails_the_item(self) -> None:
        def is_busy(_: BaseException) -> bool:
            raise LookupError("no code")

        node = FunctionNode(Flaky()).pipe(retry(3, retry_on=is_busy))
        (result,) = await BatchProcessor(node).batch([item(1)])
        assert result.error == "LookupError: no code"


class TestWait:
    @pytest.mark.parametrize(
        ("wait", "tries"),
        [
            (0, [0, 0, 0, 0]),
            (2, [0, 2, 4, 6]),
            (0.5, [0, 0.5, 1, 1.5]),
            (tenacity.wait_fixed(3), [0, 3, 6, 9]),
            (tenacity.wait_exponential(multiplier=2), [0, 2, 6, 14]),
            (tenacity.wait_incrementing(1, 2), [0, 1, 4, 9]),
            (tenacity.wait_fixed(1) + tenacity.wait_incrementing(1, 1), [0, 2, 5, 9]),
            (tenacity.wait_chain(*map(tenacity.wait_fixed, (5, 1))), [0, 5, 6, 7]),
            (lambda state: state.attempt_number * 10, [0, 10, 30, 60]),
            (lambda state: len(str(state.outcome.exception())), [0, 16, 32, 48]),
        ],
    )
    async def test_is_kept_between_two_tries(self, wait: Any, tries: list[float]) -> None:
        flaky = Flaky()
        await outcome(FunctionNode(flaky).pipe(retry(4, wait=wait)), item(99))
        assert flaky.tries["it"] == tries

    @pytest.mark.parametrize(
        ("drawn", "waits"),
        [
            (min, [1, 2, 4, 8, 16, 32, 60, 60]),
            (max, [2, 3, 5, 9, 17, 33, 60, 60]),
        ],
        ids=["least jitter", "most jitter"],
    )
    async def test_grows_exponentially_with_jitter_up_to_a_minute_by_default(
        self, drawn: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(random, "uniform", lambda low, high: drawn(low, high))
        flaky = Flaky()
        await outcome(FunctionNode(flaky).pipe(retry(9)), item(99))
        tries = flaky.tries["it"]
        assert [after - before for before, after in pairwise(tries)] == waits

    async def test_differs_between_items_that_fail_together(self) -> None:
        flaky = Flaky()
        processor = BatchProcessor(FunctionNode(flaky).pipe(retry(2)), 50)
        await processor.batch([item(1, name) for name in range(50)])
        again = {tries[1] for tries in flaky.tries.values()}
        assert len(again) > 40
        assert 1 <= min(again) < max(again) <= 2


def _result(**attributes: Any) -> Callable[[str], NodeResult]:
    return lambda error: NodeResult(False, error=error, **attributes)


def _http(**attributes: Any) -> Callable[[str], NodeResult]:
    return _result(exception=HttpError(**attributes))


def _header(value: Any, name: str = "Retry-After") -> Callable[[str], NodeResult]:
    return _http(response=Response(headers={name: value}))


class TestRetryAfter:
    """The places are tested one by one with the function that reads them."""

    @pytest.mark.parametrize(
        "fail",
        [
            _result(metadata={"retry_after": 30}),
            _http(retry_after=30),
            _http(retry_after=timedelta(seconds=30)),
            _header("30"),
            _header("30", "retry-after"),
            _header("Wed, 21 Oct 2015 07:28:30 GMT"),
        ],
    )
    async def test_is_waited_for(self, fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(signals, "datetime", Clock)
        flaky = Flaky(fail)
        await outcome(FunctionNode(flaky).pipe(retry(3, wait=1)), item(99))
        assert flaky.tries["it"] == [0, 30, 60]

    async def test_of_a_raised_exception_is_waited_for(self) -> None:
        def fail(_: str) -> None:
            raise HttpError(retry_after=30)

        flaky = Flaky(fail)
        await outcome(FunctionNode(flaky).pipe(retry(2, wait=1)), item(99))
        assert flaky.tries["it"] == [0, 30]

    async def test_may_be_longer_than_the_longest_backoff(self) -> None:
        flaky = Flaky(_header("3600"))
        await outcome(FunctionNode(flaky).pipe(retry(2, longest_wait=3600)), item(99))
        assert flaky.tries["it"] == [0, 3600]

    async def test_does_not_shorten_the_wait(self) -> None:
        flaky = Flaky(_header("5"))
        await outcome(FunctionNode(flaky).pipe(retry(2, wait=20)), item(99))
        assert flaky.tries["it"] == [0, 20]

    @pytest.mark.parametrize("value", ["soon", "inf", "-3", "nan", None, 10**400])
    async def test_that_says_nothing_is_ignored(self, value: Any) -> None:
        flaky = Flaky(_http(retry_after=value, response=Response(headers={"retry-after": value})))
        result = await outcome(FunctionNode(flaky).pipe(retry(2, wait=1)), item(99))
        assert flaky.tries["it"] == [0, 1]
        assert result.error == "it failed, try 2"

    async def test_is_not_waited_for_where_no_try_is_left(self) -> None:
        await outcome(FunctionNode(Flaky(_header("5"))).pipe(retry(1)), item(99))
        await outcome(FunctionNode(Flaky(_header("5"))).pipe(retry(retry_on=OSError)), item(99))
        assert now() == 0

    async def test_of_each_try_counts_for_itself(self) -> None:
        waits = iter([10, 20])
        flaky = Flaky(lambda error: NodeResult(False, metadata={"retry_after": next(waits)}))
        await outcome(FunctionNode(flaky).pipe(retry(3, wait=1)), item(2))
        assert flaky.tries["it"] == [0, 10, 30]


class TestManyItems:
    async def test_one_that_waits_delays_no_other(self) -> None:
        flaky = Flaky(seconds=1)
        processor = BatchProcessor(FunctionNode(flaky).pipe(retry(2, wait=100)), 2)
        inputs = [item(1, "late"), *(item(0, n) for n in range(5))]
        completed = [
            (result.output, now()) async for result in processor.batch_as_completed(inputs)
        ]
        assert completed == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), ("late", 102)]

    async def test_all_that_wait_wait_at_the_same_time(self) -> None:
        flaky = Flaky()
        processor = BatchProcessor(FunctionNode(flaky).pipe(retry(3, wait=10)), 100)
        await processor.batch([item(2, n) for n in range(100)])
        assert set(map(tuple, flaky.tries.values())) == {(0, 10, 20)}

    @pytest.mark.slow
    @settings(deadline=None, max_examples=20)
    @given(
        failures=st.lists(st.integers(0, 5), min_size=200, max_size=200),
        attempts=st.integers(1, 4),
        max_concurrency=st.integers(1, 60),
        fail=st.sampled_from([raises, returns]),
        wait=st.sampled_from([0, 0.5, tenacity.wait_random(0, 2), None]),
    )
    def test_every_result_belongs_to_its_own_input(
        self, failures: list[int], attempts: int, max_concurrency: int, fail: Fail, wait: Any
    ) -> None:
        flaky = Flaky(fail, seconds=0.1)
        node = FunctionNode(flaky).pipe(retry(attempts, wait=wait))
        inputs = [item(count, name) for name, count in enumerate(failures)]
        results = in_virtual_time(lambda: BatchProcessor(node, max_concurrency).batch(inputs))
        for name, (count, result) in enumerate(zip(failures, results, strict=True)):
            tried = min(count + 1, attempts)
            assert (result.index, result.input_data) == (name, inputs[name])
            assert len(flaky.tries[name]) == tried
            assert result.metadata == {"attempts": tried}
            if count < attempts:
                assert (result.success, result.output) == (True, name)
            else:
                assert result.error == f"ValueError: {name} failed, try {tried}"


class TestWhatTheNodeSees:
    async def test_a_fresh_node_context_for_each_try_and_the_runs_own_workflow_context(
        self,
    ) -> None:
        seen: list[tuple[NodeContext, WorkflowContext]] = []

        class Greedy(BaseNode):
            async def execute(
                self, node_context: NodeContext, workflow_context: WorkflowContext
            ) -> NodeResult:
                seen.append((node_context, workflow_context))
                assert node_context.input_data is data
                node_context.input_data = None
                raise ValueError("used up")

        data = {"prompt": "x"}
        given_context, shared = NodeContext(data), WorkflowContext()
        result = await Greedy().pipe(retry(3, wait=0)).execute(given_context, shared)
        assert result.error == "ValueError: used up"
        assert len({id(context) for context, _ in seen}) == 3
        assert given_context.input_data is data
        assert all(context is shared for _, context in seen)

    @pytest.mark.parametrize("success", [True, False])
    async def test_a_result_that_it_hands_out_many_times_is_left_alone(self, success: bool) -> None:
        metadata = {"cached": True}
        cached = NodeResult(success, "output", None if success else "error", metadata)
        node = ScriptedNode(_async(lambda _: cached)).pipe(retry(2, wait=0))
        results = await BatchProcessor(node).batch(range(3))
        attempts = 1 if success else 2
        assert [result.metadata for result in results] == [
            {"cached": True, "attempts": attempts}
        ] * 3
        assert cached.metadata is metadata
        assert metadata == {"cached": True}


def _async(script: Callable[[Any], Any]) -> Any:
    async def scripted(item: Any) -> Any:
        return script(item)

    return scripted


class TestWhatIsFinal:
    async def test_is_what_asks_for_a_longer_wait(self) -> None:
        flaky = Flaky(_header("1e30"))
        result = await outcome(FunctionNode(flaky).pipe(retry(3)), item(99))
        assert flaky.tries["it"] == [0]
        assert result.error is not None
        assert result.error.endswith(
            "; not tried again: 1e+30 s were asked for, the longest wait is 300 s"
        )
        assert result.metadata["attempts"] == 1

    @pytest.mark.parametrize("longest", [20, 20.0])
    async def test_up_to_the_longest_wait_it_is_waited_for(self, longest: float) -> None:
        flaky = Flaky(_header("20"))
        await outcome(FunctionNode(flaky).pipe(retry(2, longest_wait=longest)), item(99))
        assert flaky.tries["it"] == [0, 20]

    @pytest.mark.parametrize(
        "give_up_on", [PermissionError, (KeyError, PermissionError), lambda e: "key" in str(e)]
    )
    async def test_is_what_will_never_work(self, give_up_on: Any) -> None:
        tries: list[float] = []

        def fail(value: int) -> None:
            tries.append(now())
            raise PermissionError("a wrong key")

        node = FunctionNode(fail).pipe(retry(5, wait=1, give_up_on=give_up_on))
        result = await outcome(node, 1)
        assert (result.error, tries) == ("PermissionError: a wrong key", [0])
        node = FunctionNode(fail).pipe(retry(2, wait=1, give_up_on=ValueError))
        assert (await outcome(node, 1)).error == "PermissionError: a wrong key"
        assert tries == [0, 0, 1]

    @pytest.mark.parametrize(
        "given",
        [{"give_up_on": 5}, {"longest_wait": 0}, {"longest_wait": float("nan")}, {"budget": 0.1}],
    )
    def test_is_said_in_the_right_way(self, given: dict[str, Any]) -> None:
        (parameter,) = given
        with pytest.raises((TypeError, ValueError), match=rf"^{parameter} must be "):
            retry(3, **given)
