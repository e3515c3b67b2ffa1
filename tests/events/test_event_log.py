"""A log keeps the latest events exactly, in little memory."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import pytest

from nadoo_flow import (
    BatchProcessor,
    Event,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeResult,
    Trace,
)
from nadoo_flow.events import RunInfo, StageInfo, find_item
from nadoo_flow.events.event_log import CHUNK, EventLog
from nadoo_flow.policies import retry

from ..stand_ins import double, log_of_the_loop, slowly
from .hearing import heard

WHAT = "finished", "double", 1, 0, None, None


class Passed(Trace):
    """Keeps the events that it is passed, which are none that a run adds to its log itself."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.passed.append(event)
        super().on_event(event)


class Text(str):
    """Is written by pickle, and then made again without its number."""

    def __new__(cls, text: str, number: int) -> Text:
        return super().__new__(cls, text)


def fail_at_times(number: int) -> int:
    if number % 7 == 3:
        raise ValueError(f"no {number}")
    return number


class Used(FunctionNode):
    """Uses something for each item."""

    async def execute(self, *arguments: Any) -> NodeResult:
        result = await super().execute(*arguments)
        return result.with_metadata(usage={"tokens": 3, "usd": 0.5})


def make_chain() -> Any:
    flaky = FunctionNode(fail_at_times).pipe(retry(2, wait=1))
    return (
        MapNode("flaky", flaky, "a", "b", continue_on_error=True)
        | FilterNode("even", lambda number: number % 2 == 0, "b", "c")
        | FlatMapNode("twice", lambda number: [number] * 2, "c", "d")
        | MapNode("used", Used(double), "d", "e")
    )


def of_any_run(events: list[Event]) -> list[Event]:
    """Return the events of a run as if it had begun at 0."""
    return [event._replace(run=0, time=event.time - events[0].time) for event in events]


class TestEvents:
    async def test_they_are_those_that_an_observer_gets(self) -> None:
        logged, passed = Trace(), Passed()
        for trace in (logged, passed):
            await make_chain().run({"a": list(range(CHUNK))}, trace=trace)
        assert len(logged.events) > 4 * CHUNK
        assert {event.kind for event in logged.events} == {
            "started",
            "finished",
            "failed",
            "retried",
            "dropped",
        }
        assert of_any_run(logged.events) == of_any_run(passed.passed) == of_any_run(passed.events)
        assert {type(event.index) for event in logged.events} == {int}
        assert {repr(event.usage) for event in logged.events if event.stage == "used"} == {
            "None",
            "{'tokens': 3, 'usd': 0.5}",
        }

    async def test_they_are_those_of_a_subscriber_beside_it(self) -> None:
        trace = Trace()
        processor = BatchProcessor(slowly, 3, trace=trace)
        events = heard(processor)
        await processor.batch([3, 1, 2, 1, 1])
        assert trace.events == events

    async def test_items_in_work_have_started(self) -> None:
        trace = Trace()
        running = asyncio.ensure_future(BatchProcessor(slowly, 2, trace=trace).batch([5, 5, 5]))
        await asyncio.sleep(1)
        assert [(event.kind, event.lane) for event in trace.events] == [
            ("started", 0),
            ("started", 1),
        ]
        running.cancel()
        await asyncio.wait([running])
        assert [event.kind for event in trace.events] == ["started"] * 2 + ["cancelled"] * 2

    async def test_an_item_knows_which_it_is(self) -> None:
        stage = MapNode("map", lambda _: find_item())
        output = await stage.run({"items": ["a", "b"]}, trace=Trace())
        assert [(item.stage, item.index) for item in output["results"]] == [("map", 0), ("map", 1)]

    async def test_a_text_that_pickle_cannot_make_again_is_kept_all_the_same(self) -> None:
        async def fail(number: int) -> NodeResult:
            return NodeResult(success=False, error=Text(f"no {number}", number))

        trace = Trace()
        await BatchProcessor(fail, trace=trace).batch(range(CHUNK))
        errors = [event.error for event in trace.events if event.kind == "failed"]
        assert errors == [f"no {number}" for number in range(CHUNK)]

    async def test_a_trace_that_raises_at_the_begin_records_nothing(self) -> None:
        class Broken(Trace):
            def on_begin(self, run: Any) -> None:
                raise ValueError("no")

        logged, trace = log_of_the_loop(), Broken()
        assert (await BatchProcessor(double, trace=trace).batch([1])).outputs == [2]
        assert (trace.events, len(logged())) == ([], 1)


class TestBound:
    @pytest.mark.parametrize("limit", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
    async def test_the_latest_are_kept(self, limit: int) -> None:
        trace = Trace(limit)
        for number in range(1, 4):
            await BatchProcessor(double, trace=trace).batch(range(CHUNK // 2 * number))
            recorded = CHUNK * number * (number + 1) // 2
            assert (len(trace.events), trace.left_out) == (
                min(limit, recorded),
                max(recorded - limit, 0),
            )
            assert trace.events[-1][:3] == ("finished", "double", CHUNK // 2 * number - 1)

    def test_a_hundred_thousand_take_less_than_two_megabytes(self) -> None:
        log = EventLog(100_000)
        for number in range(2 * 100_000):
            log.latest += (WHAT, 1_000_000 + number, number % 100, 1e5 + number * 1.3e-6)
            if len(log.latest) >= 4 * CHUNK:
                log.pack()
        packed = [chunk for chunk in log._packed if isinstance(chunk, bytes)]
        assert len(packed) * CHUNK >= 100_000 - CHUNK
        assert sum(map(len, packed)) < 2_000_000

    @pytest.mark.parametrize("make_again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    async def test_a_copy_goes_on_by_itself(self, make_again: Any) -> None:
        trace = Trace()
        await BatchProcessor(double, trace=trace).batch(range(CHUNK))
        again = make_again(trace)
        assert again.events == trace.events
        await BatchProcessor(double, trace=again).batch([1])
        assert len(again.events) == len(trace.events) + 2

    @pytest.mark.parametrize("limit", [2, 100_000])
    def test_a_copy_is_whole_though_events_come_while_it_is_made(self, limit: int) -> None:
        log = EventLog(limit)

        class Coming(str):
            """Has events come while it is copied, as a run in another thread may."""

            def __deepcopy__(self, memo: object) -> str:
                for number in range(CHUNK):
                    log.add_run(RunInfo(1 + number, (), None))
                    log.add(Event("retried", "double", number, 0, 2.0, 1))
                return "no"

        log.add_run(RunInfo(1, (StageInfo(Coming("double"), 1),), None))
        log.add_run(RunInfo(0, (), None))
        log.add(Event("started", "double", 7, 0, 1.0, 1))
        log.add(Event("failed", "double", 7, 0, 2.0, 1, error=Coming("no")))
        events = log.make_events()
        again = copy.deepcopy(log)
        assert (again.make_events(), again.left_out) == (events, 0)
        assert [run.number for run in again.runs] == [1, 0]
        assert log.make_events() != events

    def test_rule_r20_runs_in_several_threads_lose_none(self) -> None:
        trace = Trace()
        processor = BatchProcessor(double, trace=trace)
        threads = [
            threading.Thread(target=lambda: asyncio.run(processor.batch(range(3 * CHUNK))))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        by_run: dict[int, list[int | None]] = {}
        for event in trace.events:
            by_run.setdefault(event.run, []).append(event.index)
        assert [sorted(map(int, indexes)) for indexes in map(list, by_run.values())] == [
            sorted([*range(3 * CHUNK)] * 2)
        ] * 3
