"""FlakyService: it is as slow, as limited and as unreliable as it was asked to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, NodeContext, WorkflowContext
from nadoo_flow.policies import retry, timeout
from nadoo_flow.testing import FlakyService, ServiceError

from ..policies.services import outcome
from ..stand_ins import now, raised_by


async def test_it_answers_with_its_input_at_once() -> None:
    service = FlakyService()
    results = await BatchProcessor(service).batch([1, {"a": 2}, [3]])
    assert results.outputs == [1, {"a": 2}, [3]]
    assert (service.calls, now()) == (3, 0)


async def test_it_answers_with_what_a_function_makes() -> None:
    assert await FlakyService(answer=str.upper).run("why") == "WHY"


class TestLatency:
    async def test_may_be_a_number(self) -> None:
        service = FlakyService(latency=2)
        await BatchProcessor(service, 2).batch(range(3))
        assert service.started == [0, 0, 2]
        assert service.answered == [(2, 2), (2, 2), (4, 2)]

    async def test_may_be_random_within_bounds(self) -> None:
        drawn: list[list[float]] = []
        for seed in (1, 1, 2):
            service = FlakyService(latency=(1, 3), seed=seed)
            await BatchProcessor(service, 1).batch(range(50))
            drawn.append([round(seconds, 6) for _, seconds in service.answered])
        assert drawn[0] == drawn[1] != drawn[2]
        assert 1 <= min(drawn[0]) < 1.2
        assert 2.8 < max(drawn[0]) <= 3

    async def test_may_be_a_function(self) -> None:
        seconds = iter([5.0, 1.0])
        service = FlakyService(latency=lambda: next(seconds))
        await BatchProcessor(service).batch(range(2))
        assert service.answered == [(1, 1), (5, 5)]


class TestFailures:
    async def test_may_be_a_share(self) -> None:
        failed: list[list[int]] = []
        for seed in (1, 1, 2):
            service = FlakyService(failures=0.2, seed=seed)
            results = await BatchProcessor(service).batch(range(500))
            failed.append([result.index for result in results.failed])
            assert len(service.failed) == len(failed[-1])
            assert len(service.answered) == 500 - len(failed[-1])
        assert failed[0] == failed[1] != failed[2]
        assert 70 < len(failed[0]) < 130

    async def test_may_be_a_function_of_the_input_and_the_attempt(self) -> None:
        service = FlakyService(failures=lambda value, attempt: attempt < 3)
        node = service.pipe(retry(3, wait=1))
        results = await BatchProcessor(node).batch(["a", ["unhashable"]])
        assert results.outputs == ["a", ["unhashable"]]
        assert service.started == [0, 0, 1, 1, 2, 2]

    async def test_are_exceptions_that_policies_can_read(self) -> None:
        result = await outcome(FlakyService(failures=1), 1)
        assert isinstance(result.exception, ServiceError)
        assert result.error == "ServiceError: the service failed"
        assert result.exception.status_code == 500

    async def test_may_not_be_classes(self) -> None:
        service = FlakyService(failures=lambda value, attempt: TimeoutError)  # type: ignore[arg-type, return-value]
        error = str(await raised_by(service.run(1)))
        assert "got the class TimeoutError; return TimeoutError(...)" in error

    async def test_may_be_exceptions_of_ones_own(self) -> None:
        result = await outcome(FlakyService(failures=lambda *_: OSError("no route")), 1)
        assert result.error == "OSError: no route"


class TestARate:
    async def test_refuses_calls_beyond_it_in_any_window(self) -> None:
        service = FlakyService(rate=2, per=10)
        results = []
        for at in (0, 1, 9, 10, 10.5, 11):
            await asyncio.sleep(at - now())
            results.append(await outcome(service, at))
        assert [result.success for result in results] == [True, True, False, True, False, True]
        error = results[2].exception
        assert isinstance(error, ServiceError)
        assert (error.status_code, error.retry_after) == (429, 1)
        assert service.rejected == [9, 10.5]

    async def test_is_kept_by_those_who_come_again_when_they_are_told(self) -> None:
        service = FlakyService(rate=5, per=60, latency=0.5)
        results = await BatchProcessor(service.pipe(retry(9, wait=0)), 20).batch(range(20))
        assert len(results.outputs) == 20


class TestACapacity:
    async def test_refuses_calls_beyond_it_a_round_trip_later(self) -> None:
        service = FlakyService(capacity=2, latency=3)
        results = await BatchProcessor(service).batch(range(4))
        assert [result.success for result in results] == [True, True, False, False]
        assert service.rejected == [3, 3]
        error = results[3].exception
        assert isinstance(error, ServiceError)
        assert error.status_code == 503

    async def test_may_let_them_wait_in_their_order(self) -> None:
        service = FlakyService(capacity=2, latency=1, when_full="wait")
        outputs = [
            (result.output, now())
            async for result in BatchProcessor(service).batch_as_completed(range(5))
        ]
        assert outputs == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)]
        assert (service.peak, service.running) == (2, 0)

    async def test_may_change(self) -> None:
        service = FlakyService(capacity=1, latency=1, when_full="wait")
        run = asyncio.create_task(BatchProcessor(service).batch(range(6)))
        await asyncio.sleep(1.5)
        service.capacity = 4
        await run
        assert (now(), service.peak, service.capacity) == (3, 4, 4)
        service.capacity = None
        assert service.capacity is None

    async def test_is_not_used_up_by_calls_that_were_cancelled(self) -> None:
        service = FlakyService(capacity=1, latency=10, when_full="wait")
        results = await BatchProcessor(service.pipe(timeout(1))).batch(range(3))
        assert not results.outputs
        assert (service.cancelled, service.running) == (3, 0)
        # One that has its turn and is cancelled before it notices hands it on.
        calls = [asyncio.create_task(service.run(number)) for number in range(3)]
        await asyncio.sleep(0)
        calls[0].cancel()
        await asyncio.sleep(0)
        calls[1].cancel()
        assert await calls[2] == 2
        assert isinstance(await raised_by(calls[1]), asyncio.CancelledError)

    async def test_is_not_used_up_by_a_call_that_is_closed_while_it_waits(self) -> None:
        service = FlakyService(latency=1, capacity=1, when_full="wait")
        first = asyncio.create_task(service.run(1))
        await asyncio.sleep(0)
        closed = service.execute(NodeContext(2), WorkflowContext())
        closed.send(None)
        closed.close()
        assert await first == 1
        assert (await service.run(3), now(), service.running) == (3, 2, 0)


async def test_counters() -> None:
    service = FlakyService(latency=1)
    for number in (3, 5, 1):
        await BatchProcessor(service).batch(range(number))
    assert (service.calls, service.peak) == (9, 5)
    assert [service.count_busiest_window(seconds) for seconds in (1, 1.5, 9)] == [5, 8, 9]
    assert [service.compute_throughput(0, until) for until in (1, 2, 4)] == [0, 1.5, 2.25]
    assert FlakyService().count_busiest_window(1) == 0
    with pytest.raises(ValueError, match=r"^until must be after since, got since=1, until=1$"):
        service.compute_throughput(1, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FlakyService(latency=-1), r"latency must not be negative, got -1"),
        (lambda: FlakyService(latency="1"), r"latency must be a number, got '1' \(str\)"),  # type: ignore[arg-type]
        (lambda: FlakyService(latency=(1, 2, 3)), r"latency must be \(low, high\), got"),  # type: ignore[arg-type]
        (lambda: FlakyService(failures=2), r"failures must be a share from 0 to 1, got 2"),
        (lambda: FlakyService(failures=None), r"failures must be a number, got None"),  # type: ignore[arg-type]
        (lambda: FlakyService(rate=0), r"rate must be at least 1, got 0"),
        (lambda: FlakyService(per=0), r"per must be above 0, got 0"),
        (lambda: FlakyService(capacity=1.5), r"capacity must be a positive int, got 1.5"),  # type: ignore[arg-type]
        (lambda: FlakyService(when_full="queue"), r"when_full must be 'reject' or 'wait', got"),  # type: ignore[arg-type]
        (lambda: FlakyService(latency=asyncio.sleep), "latency must be a function that is not"),  # type: ignore[arg-type]
        (lambda: FlakyService(failures=asyncio.sleep), "failures must be a function that is not"),
        (
            lambda: FlakyService(answer=asyncio.sleep),
            "answer must be a function that is not",
        ),
    ],
)
def test_a_bad_value_is_refused_at_construction(make: Callable[[], Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        make()
