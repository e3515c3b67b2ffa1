"""What happens to the items of a stage is told while it happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import Subject
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeError,
    OperatorNode,
    OverflowStrategy,
    ReduceNode,
)
from nadoo_flow.policies import ConcurrencyLimit, limit, retry, timeout

from ..stand_ins import DIVISION, assert_only_the_caller_runs, double, raised_by, slowly
from .hearing import heard, shown


def even(value: int) -> bool:
    return value % 2 == 0


class TestBatch:
    async def test_each_item_starts_and_finishes(self) -> None:
        processor = BatchProcessor(FunctionNode(slowly, "node"), 2)
        events = heard(processor)
        await processor.batch([2, 1, 1])
        assert shown(events) == [
            "0 node 0 started",
            "0 node 1 started",
            "1 node 1 finished",
            "1 node 2 started",
            "2 node 0 finished",
            "2 node 2 finished",
        ]

    async def test_an_item_keeps_its_lane_and_the_next_takes_the_lowest_free_one(self) -> None:
        processor = BatchProcessor(slowly, 3)
        events = heard(processor)
        await processor.batch([3, 1, 2, 1, 1])
        started = [event.lane for event in events if event.kind == "started"]
        assert started == [0, 1, 2, 1, 2]
        finished = {event.index: event.lane for event in events if event.kind == "finished"}
        assert [finished[index] for index in range(5)] == started

    async def test_an_item_whose_stage_goes_on_without_one_of_its_own_has_finished(self) -> None:
        stage = MapNode("inner", lambda number: 1 / number, continue_on_error=True)
        processor = BatchProcessor(stage)
        events = heard(processor)
        (result,) = await processor.batch([{"items": [0, 1]}])
        assert result.output == {"results": [1.0]}
        assert [event.kind for event in events] == ["started", "finished"]

    async def test_a_failure_is_told_with_its_error(self) -> None:
        processor = BatchProcessor(lambda x: 1 / x)
        events = heard(processor)
        await processor.batch([0])
        assert [(event.kind, event.error) for event in events] == [
            ("started", None),
            ("failed", DIVISION),
        ]

    async def test_the_first_failure_cancels_the_others(self) -> None:
        async def node(seconds: float) -> None:
            await asyncio.sleep(seconds)
            raise ValueError("no")

        processor = BatchProcessor(FunctionNode(node, "node"), continue_on_error=False)
        events = heard(processor)
        assert isinstance(await raised_by(processor.batch([2, 1])), NodeError)
        assert shown(events)[2:] == ["1 node 1 failed", "1 node 0 cancelled"]
        assert [event.error for event in events][2:] == ["ValueError: no", None]

    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_a_cancelled_run_tells_of_what_it_breaks_off(self, isolate: Any) -> None:
        node = FunctionNode(slowly, "node")
        node.isolate = isolate
        processor = BatchProcessor(node, 2)
        events = heard(processor)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await processor.batch([9, 9, 9])
        assert [event.kind for event in events] == ["started", "started", "cancelled", "cancelled"]
        assert_only_the_caller_runs()

    async def test_runs_differ_by_their_numbers(self) -> None:
        processor = BatchProcessor(slowly)
        events = heard(processor)
        await asyncio.gather(processor.batch([1, 2]), processor.batch([1]))
        runs = {event.run for event in events}
        assert len(runs) == 2
        assert sorted(sum(event.run == run for event in events) for run in runs) == [2, 4]

    async def test_every_way_to_run_tells(self) -> None:
        processor = BatchProcessor(double)
        events = heard(processor)
        async for _ in processor.batch_as_completed([1]):
            pass
        async for _ in processor.batch_in_chunks([1], 1):
            pass
        await processor.observe([1])
        assert [event.kind for event in events] == ["started", "finished"] * 3

    async def test_a_subclass_that_overrides_the_iteration_tells_of_each_result_once(self) -> None:
        class Doubled(BatchProcessor):
            async def batch_as_completed(self, inputs: Any) -> Any:  # type: ignore[override]
                async for result in super().batch_as_completed(inputs):
                    result.index += 10
                    yield result

        processor = Doubled(FunctionNode(slowly, "node"), 1)
        events = heard(processor)
        await processor.batch([1, 2])
        assert shown(events) == [
            "0 node 10 started",
            "1 node 10 finished",
            "1 node 11 started",
            "3 node 11 finished",
        ]
        assert {event.lane for event in events} == {None}

    async def test_one_that_overrides_the_single_item_tells_of_its_time(self) -> None:
        class Paced(BatchProcessor):
            async def process_single(self, *arguments: Any) -> Any:
                await asyncio.sleep(5)
                return await super().process_single(*arguments)

        processor = Paced(FunctionNode(slowly, "node"))
        events = heard(processor)
        await processor.batch([1])
        assert shown(events) == ["0 node 0 started", "6 node 0 finished"]


class TestStages:
    async def test_each_stage_of_a_chain_tells_of_its_items(self) -> None:
        chain = MapNode("map", slowly, "a", "b") | FilterNode("filter", even, "b", "c")
        events = heard(chain)
        await chain.run({"a": [2, 1]})
        assert shown(events) == [
            "0 map 0 started",
            "0 map 1 started",
            "1 map 1 finished",
            "1 filter 1 started",
            "1 filter 1 dropped",
            "2 map 0 finished",
            "2 filter 0 started",
            "2 filter 0 finished",
        ]
        assert {event.stage: event.position for event in events} == {"map": 0, "filter": 1}

    async def test_a_stage_tells_of_its_part_of_a_chain(self) -> None:
        first, second = MapNode("one", double, "a", "b"), MapNode("two", double, "b", "c")
        of_second = heard(second)
        chain = first | second
        of_chain = heard(chain)
        await chain.run({"a": [1]})
        assert [event.stage for event in of_chain] == ["one", "one", "two", "two"]
        assert of_second == of_chain[2:]

    async def test_a_failure_that_a_stage_goes_on_without_is_told(self) -> None:
        stage = MapNode("map", lambda x: 1 / x, continue_on_error=True)
        events = heard(stage)
        await stage.run({"items": [1, 0]})
        assert [(event.index, event.kind, event.error) for event in events] == [
            (0, "started", None),
            (0, "finished", None),
            (1, "started", None),
            (1, "failed", DIVISION),
        ]

    @pytest.mark.parametrize(
        "stage",
        [
            MapNode("stage", lambda x: 1 / x),
            FilterNode("stage", lambda x: 1 / x),
            ReduceNode("stage", lambda _, x: 1 / x),
        ],
        ids=lambda stage: type(stage).__name__,
    )
    async def test_a_failure_that_ends_a_stage_is_told(self, stage: Any) -> None:
        events = heard(stage)
        assert isinstance(await raised_by(stage.run({"items": [0]})), NodeError)
        assert [(event.kind, event.error) for event in events] == [
            ("started", None),
            ("failed", DIVISION),
        ]

    async def test_a_reduce_tells_of_each_item_it_folds(self) -> None:
        stage = ReduceNode("sum", lambda total, x: total + x, 0)
        events = heard(stage)
        await stage.run({"items": [5, 6]})
        assert [(event.index, event.kind) for event in events] == [
            (0, "started"),
            (0, "finished"),
            (1, "started"),
            (1, "finished"),
        ]

    async def test_operators_tell_of_what_they_emit(self) -> None:
        stage = OperatorNode(ops.buffer_with_count(2), node_id="pairs")
        events = heard(stage)
        await stage.run({"items": [1, 2, 3]})
        assert [(event.index, event.kind) for event in events] == [
            (0, "started"),
            (0, "finished"),
            (1, "started"),
            (1, "finished"),
        ]

    @pytest.mark.parametrize(
        "overflow", [OverflowStrategy.DROP_OLDEST, OverflowStrategy.DROP_NEWEST]
    )
    async def test_what_a_live_source_has_no_room_for_is_dropped(self, overflow: Any) -> None:
        stage = MapNode("map", slowly, max_concurrency=1)
        events, sensor = heard(stage), Subject[float]()
        async with stage.stream(sensor, max_in_flight=1, buffer=1, overflow=overflow) as outputs:
            first = asyncio.ensure_future(anext(outputs))
            await asyncio.sleep(0.5)
            for _ in range(4):
                sensor.on_next(1)
            sensor.on_completed()
            assert [await first, *[output async for output in outputs]] == [1]
        dropped = [event for event in events if event.kind == "dropped"]
        assert [(event.index, event.lane, event.time) for event in dropped] == [
            (None, None, 0.5)
        ] * 3

    async def test_a_batch_tells_of_what_it_has_no_room_for_too(self) -> None:
        processor, sensor = BatchProcessor(slowly), Subject[float]()
        events = heard(processor)
        newest = OverflowStrategy.DROP_NEWEST
        async with processor.batch_as_completed(sensor, buffer=1, overflow=newest) as results:
            first = asyncio.ensure_future(anext(results))
            await asyncio.sleep(1)
            thread = threading.Thread(target=lambda: [sensor.on_next(1) for _ in range(3)])
            thread.start()
            thread.join()
            await first
        assert sorted(event.kind for event in events) == ["dropped"] * 2 + ["finished", "started"]


class TestRetries:
    def flaky(self, *outcomes: bool) -> Callable[[Any], float]:
        left = list(outcomes)

        def fail_or_not(_: Any) -> float:
            if not left.pop(0):
                raise ValueError(f"{len(left)} left")
            return 1.0

        return fail_or_not

    async def test_each_further_try_is_told(self) -> None:
        node = FunctionNode(self.flaky(False, False, True), "node").pipe(retry(3, wait=2))
        processor = BatchProcessor(node)
        events = heard(processor)
        await processor.batch(["x"])
        assert [(event.time, event.kind, event.error) for event in events] == [
            (0, "started", None),
            (2, "retried", "ValueError: 2 left"),
            (4, "retried", "ValueError: 1 left"),
            (4, "finished", None),
        ]
        assert {event.lane for event in events} == {0}

    @pytest.mark.parametrize("isolate", ["context", "task"])
    async def test_retries_inside_other_policies_stages_and_tasks_are_told(
        self, isolate: Any
    ) -> None:
        node = FunctionNode(self.flaky(False, True), "node")
        node.isolate = isolate
        stack = node.pipe(timeout(9), limit(ConcurrencyLimit(1)), retry(2, wait=1), timeout(99))
        stage = MapNode("map", stack)
        events = heard(stage)
        await stage.run({"items": ["x"]})
        assert [event.kind for event in events] == ["started", "retried", "finished"]

    async def test_a_retry_in_a_nested_stage_is_one_of_the_outer_item(self) -> None:
        inner = MapNode("inner", FunctionNode(self.flaky(False, True)).pipe(retry(2, wait=1)))
        processor = BatchProcessor(inner)
        events = heard(processor)
        await processor.batch([{"items": [7]}])
        assert [(event.stage, event.kind) for event in events] == [
            ("inner", "started"),
            ("inner", "retried"),
            ("inner", "finished"),
        ]

    async def test_retries_of_a_run_that_nobody_watches_are_told_to_nobody(self) -> None:
        node = FunctionNode(self.flaky(False, True)).pipe(retry(2, wait=1))
        assert (await BatchProcessor(node).batch(["x"]))[0].success
