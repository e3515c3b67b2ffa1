"""Who subscribes to events hears them, and breaks nothing."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import pytest
from reactivex import operators as ops

from nadoo_flow import BatchProcessor, Event, MapNode
from nadoo_flow.events import Events

from ..stand_ins import double, log_of_the_loop, now, slowly
from .hearing import heard


async def test_who_leaves_in_the_middle_of_a_run_hears_no_more() -> None:
    processor = BatchProcessor(slowly, 1)
    events: list[Event] = []
    await asyncio.gather(
        listening(processor, events, until=1.5),
        processor.batch([1, 1, 1]),
    )
    assert [event.time for event in events] == [1, 1]


async def listening(source: Any, into: list[Event], until: float) -> None:
    everything = source.events.subscribe(lambda _: None)
    await asyncio.sleep(0.5)
    with source.events.subscribe(into.append):
        await asyncio.sleep(until - 0.5)
    everything.dispose()


async def test_who_comes_in_the_middle_of_a_run_that_nobody_watched_hears_of_the_next() -> None:
    processor = BatchProcessor(slowly, 1)
    running = asyncio.ensure_future(processor.batch([1, 1]))
    await asyncio.sleep(0.5)
    events = heard(processor)
    await running
    assert events == []
    await processor.batch([1])
    assert [event.kind for event in events] == ["started", "finished"]


async def test_events_can_go_through_operators() -> None:
    processor = BatchProcessor(slowly)
    counts: list[int] = []
    processor.events.pipe(
        ops.filter(lambda event: event.kind == "finished"),
        ops.scan(lambda count, _: count + 1, 0),
    ).subscribe(counts.append)
    await processor.batch([1, 2, 3])
    assert counts == [1, 2, 3]


async def test_one_that_raises_is_unsubscribed_and_breaks_no_run() -> None:
    logged = log_of_the_loop()
    processor = BatchProcessor(double)
    processor.events.subscribe(lambda event: 1 / 0)
    events = heard(processor)
    assert (await processor.batch([1, 2])).outputs == [2, 4]
    assert len(events) == 4
    assert [entry["message"] for entry in logged()] == [
        "an observer of events raised, it is unsubscribed"
    ]


async def test_a_slow_subscriber_is_in_the_context_of_the_item() -> None:
    processor = BatchProcessor(slowly)
    tasks = set()
    processor.events.subscribe(lambda _: tasks.add(asyncio.current_task()))
    await processor.batch([1])
    assert None not in tasks


@pytest.mark.parametrize("make_again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
async def test_a_copy_of_a_node_has_no_subscribers(make_again: Any) -> None:
    stage = MapNode("map", double)
    events = heard(stage)
    again = make_again(stage)
    assert isinstance(again.events, Events)
    await again.run({"items": [1]})
    assert events == []


async def test_an_event_cannot_be_changed() -> None:
    event = Event("started", "node", 0, 0, now())
    with pytest.raises(AttributeError):
        event.kind = "failed"  # type: ignore[misc]
