"""Limits of a run: when one is reached, the results are returned and say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, BatchResult, BatchResults, NodeError, NodeResult
from nadoo_flow.results import RunningSummary, Stopped

from ..checkpoint.helpers import Doubling, real
from ..checkpoint.helpers import processor as with_checkpoint
from ..stand_ins import Probe, assert_only_the_caller_runs, now, raised_by


async def slowly(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


def fails_at(*failing: int) -> Callable[[int], Any]:
    async def work(item: int) -> int:
        await asyncio.sleep(1)
        if item in failing:
            raise ValueError(item)
        return item

    return work


def used(number: int) -> NodeResult:
    return NodeResult(True, number, metadata={"usage": {"usd": 0.5, "tokens": number}})


def limited(work: Any, **limits: Any) -> Any:
    return BatchProcessor(work, **{"max_concurrency": 1, **limits})  # type: ignore[call-overload]


def inputs_of(results: list[BatchResult]) -> list[Any]:
    return [result.input_data for result in results]


async def test_a_run_that_reaches_no_limit_says_so() -> None:
    limits = {"deadline": 100, "max_failures": 3, "max_usage": {"usd": 10}, "stop_when": bool}
    limits["stop_when"] = lambda summary: False
    for options in ({}, limits):
        results = await limited(fails_at(0), **options).batch(range(3))
        assert (results.stopped, results.not_started, len(results)) == (None, 0, 3)
        completed = limited(fails_at(0), **options).batch_as_completed(iter(range(3)))
        assert len([result async for result in completed]) == 3
        assert (completed.stopped, completed.not_started) == (None, None)
    assert (BatchResults().stopped, BatchResults().not_started) == (None, None)


# --- Deadlines ---


async def test_rule_r54_at_the_deadline_what_is_in_work_is_finished() -> None:
    results = await limited(slowly, deadline=5, max_concurrency=2).batch([3] * 10)
    assert (inputs_of(results), now()) == ([3, 3, 3, 3], 6)
    assert results.not_started == 6
    assert results.stopped == Stopped(
        "deadline", "the deadline of 5 s was reached", 2, 0, 5.0, {}, 0
    )
    assert_only_the_caller_runs()


@pytest.mark.parametrize(("grace", "end"), [(0, 5), (2.5, 7.5), (None, 10)])
async def test_rule_r54_after_the_grace_the_rest_is_cancelled(
    grace: float | None, end: float
) -> None:
    probe = Probe()
    options = {} if grace is None else {"grace": grace}
    processor = limited(probe, deadline=5, max_concurrency=3, **options)
    results = await processor.batch([1, 100, 200, 300])
    assert inputs_of(results) == [1]
    assert now() == end + 1
    assert (results.not_started, results.stopped.cancelled) == (0, 3)
    probe.assert_cleaned()


async def test_the_deadline_counts_from_the_first_pull() -> None:
    processor = limited(slowly, deadline=2)
    completed = processor.batch_as_completed([1] * 10)
    await asyncio.sleep(50)
    assert [result.index async for result in completed] == [0, 1]
    assert now() == 52
    assert (completed.stopped.seconds, completed.not_started) == (2, 8)
    # Each run has its own.
    assert len(await processor.batch([1] * 10)) == 2


async def test_a_deadline_ends_a_run_that_waits_for_its_inputs_or_its_consumer() -> None:
    async def waiting() -> AsyncIterator[int]:
        yield 1
        await asyncio.get_running_loop().create_future()

    results = await limited(slowly, deadline=5).batch(waiting())
    assert (inputs_of(results), now(), results.not_started) == ([1], 5, None)
    assert results.stopped is not None
    completed = limited(slowly, deadline=5).batch_as_completed([1] * 100)
    await anext(completed)
    await asyncio.sleep(50)
    # What was finished meanwhile waits, and is not lost.
    assert len([result async for result in completed]) == 4


async def test_a_deadline_ends_the_wait_after_another_limit_too() -> None:
    async def work(item: int) -> None:
        await asyncio.sleep(100 if item == 1 else 1)
        raise ValueError(item)

    processor = limited(work, max_failures=1, deadline=5, grace=2, max_concurrency=2)
    results = await processor.batch(range(10))
    assert (inputs_of(results), now()) == ([0], 7)
    assert (results.stopped.limit, results.stopped.cancelled) == ("max_failures", 1)


# --- Failures ---


async def test_rule_r54_a_number_of_failures_ends_the_run() -> None:
    results = await limited(fails_at(1, 3, 5, 7), max_failures=2).batch(range(100))
    assert inputs_of(results) == [0, 1, 2, 3]
    assert results.not_started == 96
    assert results.stopped.limit == "max_failures"
    assert str(results.stopped) == "max_failures of 2 was reached: 2 of 4 finished items failed"
    assert (results.stopped.finished, results.stopped.failed) == (4, 2)


async def test_what_is_in_work_at_the_last_failure_is_finished() -> None:
    processor = limited(fails_at(0, 1, 2, 3), max_failures=1, max_concurrency=5)
    results = await processor.batch(range(100))
    assert inputs_of(results) == [0, 1, 2, 3, 4]
    assert (len(results.failed), results.stopped.failed, results.not_started) == (4, 1, 95)


async def test_rule_r54_a_part_of_the_finished_counts_from_the_twentieth_on() -> None:
    early = await limited(fails_at(*range(5)), max_failures=0.2).batch(range(100))
    assert len(early) == 20
    assert str(early.stopped) == "max_failures of 0.2 was reached: 5 of 20 finished items failed"
    late = await limited(fails_at(0, *range(30, 100)), max_failures=0.1).batch(range(100))
    assert (len(late), late.stopped.failed, late.not_started) == (33, 4, 67)
    assert (await limited(fails_at(*range(5)), max_failures=0.2).batch(range(19))).stopped is None


async def test_the_first_failure_still_ends_a_run_that_does_not_go_on() -> None:
    processor = limited(fails_at(1), continue_on_error=False, max_failures=5)
    assert isinstance(await raised_by(processor.batch(range(10))), NodeError)


async def test_failures_of_a_node_without_an_exception_count_too() -> None:
    def fail(item: int) -> NodeResult:
        return NodeResult(False, None, "no luck")

    seen: list[dict[str, int]] = []
    processor = limited(
        fail, max_failures=3, stop_when=lambda summary: seen.append(dict(summary.errors))
    )
    results = await processor.batch(range(10))
    assert len(results) == 3
    assert seen == [{"no exception": 1}, {"no exception": 2}]


# --- What is used ---


async def test_rule_r54_what_may_be_used_ends_the_run() -> None:
    processor = limited(used, max_usage={"tokens": 100, "usd": 2})
    results = await processor.batch(range(100))
    assert (inputs_of(results), results.not_started) == ([0, 1, 2, 3], 96)
    assert str(results.stopped) == "max_usage of 2 usd was reached: 2 usd used"
    assert results.stopped.usage == {"usd": 2.0, "tokens": 6} == results.usage


async def test_what_was_used_in_vain_counts_too() -> None:
    def fail(item: int) -> NodeResult:
        return NodeResult(False, None, "no luck", metadata={"usage": {"usd": 1}})

    results = await limited(fail, max_usage={"usd": 2.5}).batch(range(100))
    assert len(results) == 3


# --- A function ---


async def test_rule_r54_a_function_ends_the_run() -> None:
    seen: list[tuple[Any, ...]] = []

    def decide(summary: RunningSummary) -> bool:
        counts = (summary.total, summary.successful, summary.failed)
        seen.append((*counts, dict(summary.errors), summary.seconds))
        return summary.errors.get("ValueError", 0) == 2

    results = await limited(fails_at(1, 2), stop_when=decide).batch(range(100))
    assert inputs_of(results) == [0, 1, 2]
    assert seen == [
        (1, 1, 0, {}, 1.0),
        (2, 1, 1, {"ValueError": 1}, 2.0),
        (3, 1, 2, {"ValueError": 2}, 3.0),
    ]
    assert str(results.stopped) == "stop_when returned True (bool)"


class TestBadFunctions:
    @pytest.mark.parametrize(
        "error", [ValueError("x"), asyncio.CancelledError(), GeneratorExit(), StopIteration()]
    )
    async def test_what_it_raises_ends_the_run(self, error: BaseException) -> None:
        def fail(summary: RunningSummary) -> bool:
            raise error

        raised = await raised_by(limited(slowly, stop_when=fail).batch([1, 2]))
        if isinstance(error, ValueError):
            assert raised is error
        else:
            assert str(raised) == f"stop_when raised {type(error).__name__}"
            assert raised is not None
            assert raised.__cause__ is error
        assert_only_the_caller_runs()

    async def test_an_interrupt_is_raised_as_it_is(self) -> None:
        def interrupt(summary: RunningSummary) -> bool:
            raise KeyboardInterrupt

        raised = await raised_by(limited(slowly, stop_when=interrupt).batch([1, 2]))
        assert isinstance(raised, KeyboardInterrupt)

    async def test_what_has_to_be_awaited_is_refused(self) -> None:
        future = asyncio.get_running_loop().create_future()
        raised = await raised_by(limited(slowly, stop_when=lambda _: future).batch([1, 2]))
        assert isinstance(raised, TypeError)
        assert str(raised).startswith("stop_when must return whether to stop, got <Future")


# --- Wherever the results are ---


async def test_the_iterator_ends_and_says_why() -> None:
    completed = limited(fails_at(1), max_failures=1).batch_as_completed(range(10))
    assert (completed.stopped, completed.not_started) == (None, 10)
    assert [result.index async for result in completed] == [0, 1]
    assert (completed.stopped.limit, completed.not_started) == ("max_failures", 8)


async def test_a_subclass_that_yields_the_results_itself_says_so_too() -> None:
    class Own(BatchProcessor):
        async def batch_as_completed(  # type: ignore[override]
            self, inputs: Any, workflow_context: Any = None
        ) -> AsyncIterator[BatchResult]:
            async with super().batch_as_completed(inputs, workflow_context) as results:
                async for result in results:
                    yield result

    results = await Own(fails_at(1), 1, max_failures=1).batch(range(10))
    assert inputs_of(results) == [0, 1]
    assert results.stopped is not None
    assert results.not_started == 8
    assert (await Own(slowly).batch([1])).not_started == 0


async def test_what_failed_is_tried_again_only_as_far_as_the_limit_allows() -> None:
    def fail(item: int) -> None:
        raise ValueError(item)

    processor = limited(fail, max_failures=2)
    before = await BatchProcessor(fail).batch(range(5))
    after = await processor.retry_failed(before, attempts=3, wait=lambda _: 0)
    assert [result.index for result in after] == [0, 1, 2, 3, 4]
    assert after.stopped.limit == "max_failures"
    tried_again = [result is not old for result, old in zip(after, before, strict=True)]
    assert tried_again == [True, True, False, False, False]


async def test_results_show_the_limit() -> None:
    results = await limited(fails_at(1), max_failures=1).batch(range(10))
    line = "stopped: max_failures of 1 was reached: 1 of 2 finished items failed, 8 not started"
    assert line in repr(results)
    assert line in results._repr_html_()
    results = await limited(slowly, deadline=1, grace=1).batch([100] * 3)
    line = "stopped: the deadline of 1 s was reached, 1 cancelled, 2 not started"
    assert line in repr(results)


async def test_inputs_whose_length_cannot_be_found_leave_it_unknown() -> None:
    class Odd(list[int]):
        def __len__(self) -> int:
            raise OSError

    results = await limited(fails_at(1), max_failures=1).batch(Odd(range(5)))
    assert (len(results), results.not_started) == (2, None)


@real
async def test_a_run_that_was_ended_by_a_limit_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    work = Doubling(failing=[3, 6])
    path = tmp_path / "checkpoint"
    first = await with_checkpoint(path, work, max_concurrency=1, max_failures=1).batch(range(10))
    assert (len(first), first.not_started) == (4, 6)
    work.failing.discard(3)
    second = await with_checkpoint(path, work, max_concurrency=1, max_failures=1).batch(range(10))
    assert (len(second), second.not_started, second.stopped.finished) == (7, 3, 4)
    work.failing.clear()
    third = await with_checkpoint(path, work, max_concurrency=1, max_failures=1).batch(range(10))
    assert (len(third.successful), third.stopped) == (10, None)
    assert work.executed == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9]


# --- Bad values ---

AN_INT_OR_A_PART = "max_failures must be an int, or a part of the finished items below 1, got"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"deadline": 0}, "deadline must be above 0, got 0"),
        ({"deadline": "600"}, "deadline must be a number, got '600' (str)"),
        ({"deadline": float("inf")}, "deadline must be a finite number, got inf (float)"),
        ({"grace": -1}, "grace must not be negative, got -1"),
        ({"grace": None}, "grace must be a number, got None (NoneType)"),
        ({"max_failures": 0}, "max_failures must be at least 1, got 0"),
        ({"max_failures": True}, "max_failures must be a positive int, got True (bool)"),
        ({"max_failures": 0.0}, "max_failures must be above 0, got 0.0"),
        ({"max_failures": 1.0}, f"{AN_INT_OR_A_PART} 1.0 (float)"),
        ({"max_failures": 50.5}, f"{AN_INT_OR_A_PART} 50.5 (float)"),
        ({"max_failures": "5"}, "max_failures must be a number, got '5' (str)"),
        ({"max_usage": 5}, "max_usage must be a mapping of names to numbers, got 5 (int)"),
        ({"max_usage": {}}, "max_usage must name something that is used, got {}"),
        ({"max_usage": {1: 2}}, "the names in max_usage must be str, got 1 (int)"),
        ({"max_usage": {"usd": 0}}, "max_usage['usd'] must be above 0, got 0"),
        ({"max_usage": {"usd": None}}, "max_usage['usd'] must be a number, got None (NoneType)"),
        ({"stop_when": 5}, "stop_when must be a function, got 5 (int)"),
    ],
)
def test_bad_values_are_refused_at_construction(limits: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        limited(slowly, **limits)
    assert str(caught.value) == message


def test_a_function_that_has_to_be_awaited_is_refused_at_construction() -> None:
    async def decide(summary: RunningSummary) -> bool:
        return True

    with pytest.raises(TypeError, match=r"^stop_when must be a function that is not async"):
        limited(slowly, stop_when=decide)


@pytest.mark.parametrize("most", [2, Decimal("0.05"), Fraction(1, 20)])
async def test_numbers_of_any_library_are_limits(most: Any) -> None:
    processor = limited(fails_at(0, 1), max_failures=most, deadline=Fraction(101, 2))
    results = await processor.batch(range(30))
    assert len(results) == (2 if most == 2 else 20)
    assert type(processor.limits.max_failures) in (int, float)
