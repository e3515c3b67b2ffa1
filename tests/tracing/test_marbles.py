"""The marble diagram: every item at its time on the line of its stage."""

from __future__ import annotations

import asyncio
from typing import Any
from xml.etree import ElementTree

import pytest
from reactivex import Subject
from reactivex import operators as ops

from nadoo_flow import (
    BatchProcessor,
    Event,
    FilterNode,
    FunctionNode,
    MapNode,
    OperatorNode,
    OverflowStrategy,
    Trace,
)
from nadoo_flow.drawing.svg import RED
from nadoo_flow.policies import retry

from ..hostile_texts import HOSTILE, count_of, parsed, texts, titles, traced
from ..stand_ins import double, slowly


def centres(svg: str) -> list[tuple[float, float, float]]:
    """Return where the marbles are, and how large."""
    return [
        (float(marble.get("cx", 0)), float(marble.get("cy", 0)), float(marble.get("r", 0)))
        for marble in parsed(svg).iter()
        if marble.get("class") == "nadoo-marble"
    ]


def trails(svg: str) -> list[ElementTree.Element]:
    return [path for path in parsed(svg).iter() if path.get("class") == "nadoo-path"]


async def test_there_is_a_line_for_each_stage_and_a_marble_for_each_item_on_it() -> None:
    chain = MapNode("first", slowly, "a", "b") | MapNode("second", slowly, "b", "c")
    svg = (await traced(chain, [1, 2, 4])).marbles().svg
    assert [text for text in texts(svg) if text.isalpha()] == ["first", "second", "finished"]
    assert len(centres(svg)) == 6


async def test_a_marble_is_at_its_real_time() -> None:
    svg = (await traced(MapNode("map", slowly), [1, 2, 4])).marbles().svg
    one, two, four = (x for x, _, _ in centres(svg))
    start = 2 * one - two  # at time 0, if the times are to scale
    assert four - start == pytest.approx(4 * (one - start), abs=0.3)


async def test_a_failed_item_is_red_and_crossed() -> None:
    stage = MapNode("map", lambda x: 1 / x, continue_on_error=True)
    svg = (await traced(stage, [1, 0, 2])).marbles().svg
    assert count_of(svg, "circle", fill=RED, class_="nadoo-marble") == 1
    assert count_of(svg, "path", stroke="#fff") == 2  # the item's cross, and the legend's
    assert any("item 1" in words and "ZeroDivisionError" in words for words in titles(svg))


async def test_a_dropped_item_is_hollow() -> None:
    svg = (await traced(FilterNode("filter", lambda x: x > 1), [1, 2])).marbles().svg
    hollow = [circle for circle in parsed(svg).iter() if circle.get("fill-opacity") == "0.1"]
    assert len(hollow) == 1
    assert "dropped" in texts(svg)


async def test_the_path_of_an_item_leads_through_all_its_stages() -> None:
    chain = MapNode("first", slowly, "a", "b") | MapNode("second", slowly, "b", "c")
    svg = (await traced(chain, [1, 2])).marbles().svg
    assert len(trails(svg)) == 2
    for trail in trails(svg):
        assert str(trail.get("d")).count("H") == 2
    (told,) = [words for words in titles(svg) if words.startswith("item 1\n")]
    assert told.splitlines()[1:] == [
        "first: 0 µs to 2 s, finished",
        "second: 2 s to 4 s, finished",
    ]


async def test_the_path_ends_where_items_are_numbered_anew() -> None:
    chain = MapNode("map", double, "a", "b") | OperatorNode(
        ops.buffer_with_count(2), input_key="b", output_key="c"
    )
    svg = (await traced(chain, [1, 2, 3])).marbles().svg
    assert [str(trail.get("d")).count("H") for trail in trails(svg)] == [1] * 5


@pytest.mark.parametrize(("items", "shown"), [(20, 20), (300, 0)])
async def test_an_item_has_its_number_where_it_can_be_read(items: int, shown: int) -> None:
    svg = (await traced(MapNode("map", slowly), range(1, items + 1))).marbles().svg
    numbers = [text for text in parsed(svg).iter() if text.get("pointer-events") == "none"]
    assert sum((text.text or "").isdigit() for text in numbers) == shown


async def test_few_items_show_their_paths_behind_all_marbles() -> None:
    few = (await traced(MapNode("map", slowly), range(40))).marbles().svg
    many = (await traced(MapNode("map", slowly), range(41))).marbles().svg
    classes = [path.get("class") for path in parsed(few) if path.get("stroke-width") == "2"]
    assert classes == [None] * 40
    assert few.rindex('opacity="0.2"') < few.index("<circle")
    assert [path for path in parsed(many) if path.get("stroke-width") == "2"] == []


@pytest.mark.parametrize("limit", [1, 10, 1_000])
async def test_no_marble_lies_on_another(limit: int) -> None:
    stage = MapNode("map", slowly, max_concurrency=limit)
    svg = (await traced(stage, [1 + index % 13 / 7 for index in range(500)])).marbles().svg
    marbles = sorted(centres(svg))
    assert len(marbles) > 100
    for place, (x, y, r) in enumerate(marbles):
        for other_x, other_y, other_r in marbles[place + 1 : place + 30]:
            assert (x - other_x) ** 2 + (y - other_y) ** 2 >= (r + other_r - 0.2) ** 2


async def test_what_has_no_room_is_left_out_but_no_failure_and_it_says_so() -> None:
    stage = MapNode("map", lambda x: 1 / (x % 500), continue_on_error=True)
    svg = (await traced(stage, range(5_000))).marbles().svg
    assert count_of(svg, "circle", fill=RED, class_="nadoo-marble") == 10
    (note,) = [text for text in texts(svg) if "of 5,000 items are shown" in text]
    assert note.endswith("failures first, the others evenly spread.")


async def test_all_is_inside_the_picture() -> None:
    chain = MapNode("x" * 500, slowly, "a", "b", 30) | MapNode("y", slowly, "b", "c", 1)
    svg = (await traced(chain, [1] * 100)).marbles().svg
    _, _, width, height = map(float, str(parsed(svg).get("viewBox")).split())
    for x, y, r in centres(svg):
        assert r <= x <= width - r
        assert r <= y <= height - r
    for text in (element for element in parsed(svg).iter() if element.get("text-anchor") == "end"):
        assert float(text.get("x", 0)) - 7.5 * len("".join(text.itertext())) >= 0


async def test_nothing_recorded_is_a_picture_too() -> None:
    assert texts(Trace().marbles().svg) == ["nothing was recorded"]
    empty = (await BatchProcessor(double, trace=True).batch([])).trace
    assert empty is not None
    assert texts(empty.marbles().svg) == ["nothing was recorded"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_string_gets_out_of_its_place(text: str) -> None:
    def fail(_: Any) -> None:
        raise ValueError(text)

    stage = MapNode(text or "map", FunctionNode(fail), continue_on_error=True)
    svg = (await traced(stage, [text])).marbles().svg
    parsed(svg)
    assert len(svg) < 6_000


async def test_tries_and_what_came_when_there_was_no_room_are_shown() -> None:
    trace = Trace()
    left = [True]

    async def flaky(_: Any) -> None:
        await slowly(1)
        if left and left.pop():
            raise ValueError("no")

    sensor, newest = Subject[int](), OverflowStrategy.DROP_NEWEST
    stage = MapNode("map", FunctionNode(flaky).pipe(retry(2, wait=1)))
    async with stage.stream(sensor, trace=trace, buffer=1, overflow=newest) as outputs:
        first = asyncio.ensure_future(anext(outputs))
        await asyncio.sleep(0)
        for number_of_item in range(2):
            sensor.on_next(number_of_item)
        await first
    svg = trace.marbles().svg
    told = [words for words in titles(svg) if words.endswith(("dropped", "finished after 1 retry"))]
    assert sorted(told) == [
        "an item that came when there was no room\nmap: 0 µs to 0 µs, dropped",
        "item 0\nmap: 0 µs to 3 s, finished after 1 retry",
    ]


async def test_events_of_a_run_whose_begin_was_missed_are_not_drawn() -> None:
    trace = Trace()
    trace.on_event(Event("finished", "node", 0, 0, 1.0, run=7))
    assert texts(trace.marbles().svg) == ["nothing was recorded"]
