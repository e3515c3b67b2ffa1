"""hedge: a second execution when the first is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode, NodeError, NodeResult, policies
from nadoo_flow.policies import ConcurrencyLimit, hedge, limit, retry, timeout
from nadoo_flow.policies.slowness import FEWEST, KEPT, SlowestOfLast

from ..stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by
from .__main__ import hedge_rows
from .services import outcome
from .tails import measure_tail

Step = float | BaseException | NodeResult


class Replica:
    """Does for each call what its script says: takes some seconds, then answers or fails.

    Attributes:
        began: When each call began.
        ended: What each call did in the end, and when.
    """

    def __init__(self, *script: tuple[float, Any]) -> None:
        self.began: list[float] = []
        self.ended: list[tuple[int, str, float]] = []
        self._script = list(script)

    async def __call__(self, value: Any) -> Any:
        number = len(self.began)
        self.began.append(now())
        seconds, answer = self._script[number]
        end = "cancelled"
        try:
            await asyncio.sleep(seconds)
            if isinstance(answer, BaseException):
                end = "raised"
                raise answer
            end = "answered"
            return answer
        finally:
            self.ended.append((number, end, now()))


def hedged(replica: Callable[[Any], Any], after: float = 2, ratio: float = 1) -> Any:
    return FunctionNode(replica, "replica").pipe(hedge(after, ratio=ratio))


class TestTheRace:
    async def test_a_fast_execution_is_alone(self) -> None:
        replica = Replica((1, "first"))
        result = await outcome(hedged(replica), "x")
        assert (result.output, result.metadata, now()) == ("first", {}, 1)
        await asyncio.sleep(10)
        assert replica.began == [0]

    async def test_the_second_answers_if_it_succeeds_first(self) -> None:
        replica = Replica((50, "first"), (1, "second"))
        result = await outcome(hedged(replica), "x")
        assert (result.output, result.metadata, now()) == ("second", {"hedged": True}, 3)
        assert replica.began == [0, 2]
        assert replica.ended == [(1, "answered", 3), (0, "cancelled", 3)]

    async def test_the_first_answers_if_it_succeeds_first(self) -> None:
        replica = Replica((3, "first"), (50, "second"))
        result = await outcome(hedged(replica), "x")
        assert (result.output, result.metadata, now()) == ("first", {}, 3)
        assert replica.ended == [(0, "answered", 3), (1, "cancelled", 3)]

    @pytest.mark.parametrize("failure", [ValueError("no"), NodeResult(False, error="no")])
    async def test_a_first_that_fails_waits_for_the_second(self, failure: Any) -> None:
        replica = Replica((3, failure), (50, "second"))
        result = await outcome(hedged(replica), "x")
        assert (result.output, result.metadata, now()) == ("second", {"hedged": True}, 52)

    @pytest.mark.parametrize("failure", [ValueError("no"), NodeResult(False, error="no")])
    async def test_a_second_that_fails_does_not_end_the_first(self, failure: Any) -> None:
        replica = Replica((50, "first"), (1, failure))
        result = await outcome(hedged(replica), "x")
        assert (result.output, result.metadata, now()) == ("first", {}, 50)

    async def test_if_both_fail_the_failure_is_that_of_the_first(self) -> None:
        replica = Replica((5, ValueError("first")), (1, ValueError("second")))
        result = await outcome(hedged(replica), "x")
        assert (result.error, now()) == ("ValueError: first", 5)

    async def test_a_failure_before_the_delay_is_final(self) -> None:
        replica = Replica((1, ValueError("first")))
        assert (await outcome(hedged(replica), "x")).error == "ValueError: first"

    async def test_a_function_that_does_not_suspend_answers_at_once(self) -> None:
        assert (await outcome(hedged(str.upper), "x")).output == "X"

    async def test_what_both_used_is_counted(self) -> None:
        failed = NodeResult(False, error="no", metadata={"usage": {"tokens": 1}})
        answered = NodeResult(True, "second", metadata={"usage": {"tokens": 10}})
        result = await outcome(hedged(Replica((3, failed), (5, answered))), "x")
        assert result.metadata == {"usage": {"tokens": 11}, "hedged": True}

    async def test_an_answer_of_the_wrong_kind_fails(self) -> None:
        class Odd(FunctionNode):
            async def execute(self, node_context: Any, workflow_context: Any) -> Any:
                await asyncio.sleep(5)
                return "no NodeResult"

        result = await outcome(Odd(str).pipe(hedge(2, ratio=1)), "x")
        assert result.error == "TypeError: expected NodeResult, got str"


class TestCancelling:
    @pytest.mark.parametrize("at", [1.0, 2.0, 3.0])
    async def test_ends_both(self, at: float) -> None:
        replica = Replica((50, "first"), (50, "second"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(at):
                await hedged(replica).run("x")
        assert now() == at
        assert {(end, when) for _, end, when in replica.ended} == {("cancelled", at)}
        assert_only_the_caller_runs()

    async def test_while_a_failed_first_waits_for_the_second(self) -> None:
        replica = Replica((3, ValueError("no")), (50, "second"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await hedged(replica).run("x")
        assert replica.ended[1:] == [(1, "cancelled", 10)]
        assert_only_the_caller_runs()

    async def test_in_the_turn_in_which_the_second_answers(self) -> None:
        replica = Replica((50, "first"), (1, "second"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await hedged(replica).run("x")
        assert_only_the_caller_runs()

    async def test_a_timeout_inside_fails_the_first_alone(self) -> None:
        replica = Replica((50, "first"), (3, "second"))
        node = FunctionNode(replica).pipe(timeout(4), hedge(2, ratio=1))
        result = await outcome(node, "x")
        assert (result.output, now()) == ("second", 5)

    async def test_a_timeout_outside_fails_both(self) -> None:
        replica = Replica((50, "first"), (50, "second"))
        node = FunctionNode(replica).pipe(hedge(2, ratio=1), timeout(4))
        assert (await outcome(node, "x")).error == "TimeoutError: not finished within 4 s"
        assert [end for _, end, _ in replica.ended] == ["cancelled", "cancelled"]

    @pytest.mark.parametrize("swallows", ["answers", "raises"])
    async def test_a_loser_that_swallows_it_has_lost_all_the_same(self, swallows: str) -> None:
        calls = 0

        async def stubborn(value: Any) -> str:
            nonlocal calls
            calls += 1
            if calls == 2:
                return "second"
            try:
                await asyncio.sleep(50)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
                if swallows == "raises":
                    raise ValueError("clean-up") from None
            return "first"

        async def then(value: Any) -> float:
            await asyncio.sleep(1)
            return now()

        result = await outcome(hedged(stubborn) | then, "x")
        assert (result.output, calls) == (4, 2)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    async def test_a_node_that_cancels_itself_fails(self) -> None:
        replica = Replica((5, asyncio.CancelledError()), (1, ValueError("no")))
        results = await BatchProcessor(hedged(replica)).batch(["x"])
        assert results[0].error == "CancelledError"

    @pytest.mark.parametrize("which", [0, 1])
    async def test_a_keyboard_interrupt_in_either_ends_the_run(self, which: int) -> None:
        script = [(50.0, "first"), (50.0, "second")]
        script[which] = (5, KeyboardInterrupt("stop"))  # type: ignore[call-overload]
        replica = Replica(*script)
        error = await raised_by(BatchProcessor(hedged(replica)).batch(["x"]))
        assert isinstance(error, KeyboardInterrupt)
        assert len(replica.ended) == 2
        assert_only_the_caller_runs()


class TestHowMany:
    async def test_one_is_free_and_the_rest_are_a_part_of_the_calls(self) -> None:
        calls = 0

        async def slow(value: int) -> int:
            nonlocal calls
            calls += 1
            await asyncio.sleep(5)
            return value

        await BatchProcessor(hedged(slow, ratio=0.05), 1).batch(range(200))
        assert calls == 200 + 1 + 10

    async def test_a_service_that_becomes_slow_does_not_get_twice_the_calls(self) -> None:
        started: list[float] = []

        async def service(value: int) -> int:
            started.append(now())
            await asyncio.sleep(1 if now() < 100 else 5)
            return value

        await BatchProcessor(hedged(service, ratio=0.05), 10).batch(range(1_200))
        calls_at_100 = sum(100 <= when < 105 for when in started)
        assert calls_at_100 == 10 + 10

    async def test_each_takes_a_permit_of_its_own(self) -> None:
        peak = working = 0

        async def slow(value: int) -> int:
            nonlocal peak, working
            working += 1
            peak = max(peak, working)
            await asyncio.sleep(5)
            working -= 1
            return value

        node = FunctionNode(slow).pipe(limit(ConcurrencyLimit(3)), hedge(2, ratio=1))
        await BatchProcessor(node, 3).batch(range(30))
        assert peak == 3

    async def test_each_try_is_hedged(self) -> None:
        replica = Replica((3, ValueError("1")), (3, ValueError("2")), (50, "3"), (1, "4"))
        node = FunctionNode(replica).pipe(hedge(2, ratio=1), retry(2, wait=1))
        result = await outcome(node, "x")
        assert result.output == "4"
        assert result.metadata == {"hedged": True, "attempts": 2}


class TestThePercentile:
    def test_is_known_from_the_twentieth_on(self) -> None:
        slowness = SlowestOfLast(95)
        for number in range(1, FEWEST):
            slowness.note(number)
            assert slowness.delay is None
        slowness.note(FEWEST)
        assert slowness.delay == 19

    def test_follows_the_last_ones(self) -> None:
        slowness = SlowestOfLast(90)
        for _ in range(1_000):
            slowness.note(1.0)
        for _ in range(KEPT * 2):
            slowness.note(7.0)
        assert slowness.delay == 7.0

    async def test_a_tail_of_slow_calls_is_cut_with_few_more_calls(self) -> None:
        alone, cut = await measure_tail(), await measure_tail(hedge(percentile=95))
        assert alone.p99 / cut.p99 >= 5
        assert cut.calls <= alone.calls * 1.05

    def test_the_manual_shows_that(self) -> None:
        page = Path(policies.__file__).with_name("README.md")
        assert "\n".join(hedge_rows()) in page.read_text(encoding="utf-8")


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({}, "needs either after or percentile, got after=None and percentile=None"),
            ({"after": 1, "percentile": 95}, "needs either after or percentile, got after=1"),
            ({"after": 0}, "after must be above 0, got 0"),
            ({"after": float("nan")}, "after must"),
            ({"after": "2"}, "after must"),
            ({"percentile": 0}, "percentile must be above 0, got 0"),
            ({"percentile": 100}, "percentile must be below 100, got 100"),
            ({"percentile": True}, "percentile must"),
            ({"after": 1, "ratio": 0}, "ratio must be above 0, got 0"),
            ({"after": 1, "ratio": 1.5}, "ratio must be at most 1, got 1.5"),
        ],
    )
    def test_are_checked(self, options: dict[str, Any], error: str) -> None:
        with pytest.raises((TypeError, ValueError), match=error):
            hedge(**options)

    def test_are_shown(self) -> None:
        assert repr(hedge(2)) == "hedge(after=2)"
        assert repr(hedge(percentile=95)) == "hedge(percentile=95)"

    async def test_each_node_has_delays_of_its_own(self) -> None:
        policy = hedge(percentile=95)
        first, second = FunctionNode(str).pipe(policy), FunctionNode(str).pipe(policy)
        assert first._slowness is not second._slowness  # type: ignore[attr-defined]

    async def test_an_error_names_the_node(self) -> None:
        error = await raised_by(hedged(Replica((1, ValueError("no")))).run("x"))
        assert isinstance(error, NodeError)
        assert str(error) == "node 'replica' failed: ValueError: no"


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda node: node.run(10), id="run"),
        pytest.param(lambda node: BatchProcessor(node).batch([10]), id="batch"),
    ],
)
async def test_what_is_cancelled_is_not_hedged_while_it_cleans_up(
    run: Callable[[Any], Any],
) -> None:
    probe = Probe()
    task = asyncio.create_task(run(hedged(probe, after=2)))
    await asyncio.sleep(1.5)
    task.cancel()
    await asyncio.wait([task])
    assert (probe.started, now()) == ([10], 1.5 + CLEAN_UP)
