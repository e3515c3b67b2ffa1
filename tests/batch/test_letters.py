"""``failed_to``: each failure is handed over before anything else learns of it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    DeadLetterError,
    NodeError,
    NodeResult,
    read_failed,
)
from nadoo_flow.policies import retry

from ..checkpoint.helpers import real
from ..stand_ins import assert_only_the_caller_runs, now


async def odd(number: int) -> int:
    """Fail for even numbers, after as many seconds as the number says."""
    await asyncio.sleep(number)
    if number % 2 == 0:
        raise ValueError(f"{number} is even")
    return number


def indexes(path: Path) -> list[int]:
    return [letter.index for letter in read_failed(path)]


class TestAFile:
    async def test_holds_each_failure(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        results = await BatchProcessor(odd, failed_to=path).batch([4, 1, 2, 3])
        assert [result.success for result in results] == [False, True, False, True]
        letters = read_failed(path)
        assert [(letter.index, letter.input) for letter in letters] == [(2, 2), (0, 4)]
        assert [letter.error for letter in letters] == [
            "ValueError: 2 is even",
            "ValueError: 4 is even",
        ]
        assert [letter.exception for letter in letters] == ["ValueError", "ValueError"]

    async def test_holds_a_failure_before_its_result_is_handed_out(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        processor = BatchProcessor(odd, failed_to=path)
        async with processor.batch_as_completed([2, 1, 4]) as results:
            async for result in results:
                assert (result.index in indexes(path)) is not result.success
        done: list[int] = []
        processor.observe([0, 2]).subscribe(lambda result: done.append(len(indexes(path))))
        await asyncio.sleep(5)
        assert done == [3, 4]

    async def test_is_appended_to_by_the_next_run(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        processor = BatchProcessor(odd, failed_to=str(path))
        for _ in range(2):
            await processor.batch([1, 2])
        assert indexes(path) == [1, 1]

    def test_is_opened_in_each_event_loop_anew(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        processor = BatchProcessor(odd, failed_to=str(path))
        for _ in range(2):
            asyncio.run(processor.batch([0]))
        assert indexes(path) == [0, 0]

    async def test_counts_the_tries(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        node = retry(3)(odd)
        await BatchProcessor(node, failed_to=path).batch([0])
        assert [letter.attempts for letter in read_failed(path)] == [3]

    async def test_holds_the_failure_that_ends_the_run_and_no_other(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        processor = BatchProcessor(odd, continue_on_error=False, failed_to=path)
        with pytest.raises(NodeError, match="item 1"):
            await processor.batch([4, 2, 6, 1])
        assert indexes(path) == [1]
        assert_only_the_caller_runs()

    async def test_holds_nothing_of_what_was_cancelled(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await BatchProcessor(odd, failed_to=path).batch([4, 2, 6])
        assert indexes(path) == [1]

    async def test_that_cannot_be_opened_ends_the_run_before_its_first_item(
        self, tmp_path: Path
    ) -> None:
        started: list[int] = []
        processor = BatchProcessor(started.append, failed_to=tmp_path / "missing" / "x")
        for _ in range(2):
            with pytest.raises(DeadLetterError, match="cannot be opened"):
                await processor.batch([1, 2])
        errors: list[Exception] = []
        processor.observe([1]).subscribe(on_error=errors.append)
        assert errors == []
        await asyncio.sleep(1)
        assert [type(error) for error in errors] == [DeadLetterError]
        assert started == []

    async def test_holds_inputs_that_the_codec_encodes(self, tmp_path: Path) -> None:
        class Reprs:
            def encode(self, value: Any) -> bytes:
                return repr(value).encode()

            def decode(self, data: bytes) -> Any:
                return complex(data.decode())

        path = tmp_path / "failed.jsonl"
        processor = BatchProcessor(odd, failed_to=path, codec=Reprs())  # type: ignore[arg-type]
        await processor.batch(["x", 2j])
        assert [letter.input for letter in read_failed(path, Reprs())] == ["x", 2j]

    async def test_is_closed_with_the_run(self, tmp_path: Path) -> None:
        # A file that is left open is a ResourceWarning, and that an error here.
        processor = BatchProcessor(odd, failed_to=tmp_path / "failed.jsonl")
        async with processor.batch_as_completed([0, 2, 50]) as results:
            await anext(results)
        assert indexes(tmp_path / "failed.jsonl") == [0]


class TestACheckpoint:
    @real
    async def test_leaves_what_succeeds_in_the_next_run_out_of_it(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        failing = {1, 2}

        async def work(number: int) -> int | NodeResult:
            if number in failing:
                return NodeResult(False, error=f"no {number}")
            return number

        processor = BatchProcessor(work, failed_to=path, checkpoint=tmp_path / "run.sqlite")
        await processor.batch(range(4))
        failing.remove(1)
        results = await processor.batch(range(4))
        assert [result.success for result in results] == [True, True, False, True]
        letters = read_failed(path)
        assert sorted(letter.index for letter in letters[:2]) == [1, 2]
        assert [(letter.index, letter.error, letter.exception) for letter in letters[2:]] == [
            (2, "no 2", None)
        ]

    @real
    async def test_that_cannot_record_an_output_makes_a_letter(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        processor = BatchProcessor(
            lambda text: complex(text), failed_to=path, checkpoint=tmp_path / "run.sqlite"
        )
        await processor.batch(["1"])
        assert [letter.error[:31] for letter in read_failed(path)] == [
            "the output cannot be recorded: "
        ]


class TestRetryFailed:
    async def test_writes_what_fails_in_the_last_try(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        tries: list[int] = []

        def third_time(number: int) -> int:
            tries.append(number)
            if tries.count(number) < 3 or number == 5:
                raise ValueError(number)
            return number

        results = await BatchProcessor(third_time).batch([3, 4, 5])
        processor = BatchProcessor(third_time, failed_to=path)
        results = await processor.retry_failed(results, attempts=4, wait=0)
        assert [result.success for result in results] == [True, True, False]
        assert tries.count(5) == 5
        assert indexes(path) == [2]

    async def test_writes_the_failure_that_ends_it_with_its_own_index(self, tmp_path: Path) -> None:
        path = tmp_path / "failed.jsonl"
        results = await BatchProcessor(odd).batch([1, 3, 2])
        processor = BatchProcessor(odd, continue_on_error=False, failed_to=path)
        with pytest.raises(NodeError) as caught:
            await processor.retry_failed(results, wait=0)
        assert caught.value.index == 2
        assert indexes(path) == [2]

    async def test_loses_no_result_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        before = await BatchProcessor(odd).batch([1, 2])
        processor = BatchProcessor(odd, failed_to=tmp_path / "missing" / "x")
        with pytest.raises(DeadLetterError) as caught:
            await processor.retry_failed(before, attempts=1, wait=0)
        assert [result.success for result in caught.value.results] == [True, False]

    async def test_can_be_cancelled_while_a_function_takes_the_failure(self) -> None:
        async def forever(result: BatchResult) -> None:
            await asyncio.Event().wait()

        async def retry_for_a_while(number: int) -> None:
            processor = BatchProcessor(odd, failed_to=forever)
            async with asyncio.timeout(9):
                await processor.retry_failed(before, 1, wait=0)

        before = await BatchProcessor(odd).batch([2])
        with pytest.raises(TimeoutError):
            await retry_for_a_while(0)
        assert now() == 11
        # In a node too, whose own timeout is no end of the run around it.
        (result,) = await BatchProcessor(retry_for_a_while).batch([0])
        assert (result.error, now()) == ("TimeoutError", 20)


class Awaits:
    """An awaitable of one's own."""

    def __init__(self, done: Callable[[], Awaitable[None]]) -> None:
        self._done = done

    def __await__(self) -> Any:
        return self._done().__await__()


class TestAFunction:
    @pytest.mark.parametrize("kind", ["sync", "async", "partial", "awaitable", "future"])
    async def test_of_any_kind_gets_each_failure_before_the_result_goes_out(
        self, kind: str
    ) -> None:
        taken: list[int] = []

        async def take_slowly(result: BatchResult) -> None:
            await asyncio.sleep(10)
            taken.append(result.index)

        functions: dict[str, tuple[Callable[[BatchResult], object], float]] = {
            "sync": (lambda result: taken.append(result.index), 0),
            "async": (take_slowly, 10),
            "partial": (functools.partial(take_slowly), 10),
            "awaitable": (lambda result: Awaits(lambda: take_slowly(result)), 10),
            "future": (lambda result: asyncio.ensure_future(take_slowly(result)), 10),
        }
        function, seconds = functions[kind]
        async with BatchProcessor(odd, failed_to=function).batch_as_completed([1, 2]) as results:
            assert (await anext(results)).success
            failed = await anext(results)
            assert (failed.index, failed.execution_time) == (1, 2)
            assert (taken, now()) == ([1], 2 + seconds)

    async def test_that_is_slow_counts_as_work(self) -> None:
        async def take(result: BatchResult) -> None:
            await asyncio.sleep(10)

        results = await BatchProcessor(odd, 1, failed_to=take).batch([0, 0, 0])
        assert (len(results), now()) == (3, 30)

    async def test_that_changes_its_result_changes_nothing_else(self) -> None:
        def forgive(result: BatchResult) -> None:
            result.success, result.index, result.error = True, -1, None

        (result,) = await BatchProcessor(odd, failed_to=forgive).batch([0])
        assert (result.success, result.index, result.error) == (False, 0, "ValueError: 0 is even")

    @pytest.mark.parametrize("error", [OSError("full"), StopIteration(), GeneratorExit("odd")])
    @pytest.mark.parametrize("continue_on_error", [True, False])
    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_that_raises_ends_the_run_and_the_error_has_the_results(
        self, error: BaseException, continue_on_error: bool, isolate: str
    ) -> None:
        async def refuse(result: BatchResult) -> None:
            await asyncio.sleep(0)
            raise error

        processor = BatchProcessor(odd, 2, continue_on_error, failed_to=refuse)
        processor.node.isolate = isolate  # type: ignore[assignment]
        with pytest.raises(DeadLetterError) as caught:
            await processor.batch([1, 2, 99])
        assert [result.index for result in caught.value.results] == [0, 1]
        assert caught.value.results[1].error == "ValueError: 2 is even"
        assert "the failure of item 1 could not be handed to failed_to: " in str(caught.value)
        assert "it was ValueError: 2 is even" in str(caught.value)
        assert_only_the_caller_runs()

    async def test_that_cancels_its_own_task_fails_as_any_other(self) -> None:
        async def cancel_itself(result: BatchResult) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(1)

        with pytest.raises(DeadLetterError, match="CancelledError"):
            await BatchProcessor(odd, failed_to=cancel_itself).batch([0])
        assert_only_the_caller_runs()

    async def test_that_wants_to_leave_the_program_does(self) -> None:
        def leave(result: BatchResult) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await BatchProcessor(odd, failed_to=leave).batch([0, 50])
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("swallows", [True, False])
    async def test_that_never_ends_is_cancelled_with_the_run(self, swallows: bool) -> None:
        async def wait(result: BatchResult) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if not swallows:
                    raise

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await BatchProcessor(odd, failed_to=wait).batch([0, 2])
        assert now() == 5
        assert_only_the_caller_runs()

    async def test_gets_failures_of_an_override_too(self) -> None:
        class Own(BatchProcessor):
            async def process_single(self, input_data: Any, index: int) -> BatchResult:  # type: ignore[override]
                if index == 1:
                    raise ValueError("own")
                return BatchResult(index, input_data, False, error="given")

        errors: list[str | None] = []
        await Own(odd, failed_to=lambda result: errors.append(result.error)).batch([1, 1])
        assert errors == ["given", "ValueError: own"]

    async def test_may_run_a_batch_of_its_own(self) -> None:
        outputs: list[Any] = []

        async def run(result: BatchResult) -> None:
            outputs.extend(
                (await BatchProcessor(lambda n: str(n)).batch([result.input_data])).outputs
            )

        await BatchProcessor(odd, failed_to=run).batch([2, 1])
        assert outputs == ["2"]


@pytest.mark.parametrize(
    "wrong", [5, b"path", "", True, object()], ids=lambda value: str(type(value))
)
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="failed_to must be a path or a function, got "):
        BatchProcessor(odd, failed_to=wrong)


def test_a_function_that_yields_is_refused() -> None:
    def yields(result: BatchResult) -> Any:
        yield result

    with pytest.raises(TypeError, match="failed_to must be a function that returns something"):
        BatchProcessor(odd, failed_to=yields)
