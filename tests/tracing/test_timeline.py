"""The timeline: who was at work when, where slots idled, and what held the run up."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode, Trace
from nadoo_flow.drawing.svg import RED
from nadoo_flow.policies import retry

from ..hostile_texts import HOSTILE, count_of, parsed, texts, titles, traced
from ..stand_ins import double, slowly


async def twice_as_fast(seconds: float) -> None:
    await slowly(seconds / 2)


def bars(svg: str) -> list[tuple[float, float, float]]:
    """Return where the bars begin, how long they are, and in which row they are."""
    return [
        (float(bar.get("x", 0)), float(bar.get("width", 0)), float(bar.get("y", 0)))
        for bar in parsed(svg).iter()
        if bar.tag.endswith("}rect") and len(bar)
    ]


async def test_an_item_is_a_bar_in_the_row_of_its_lane() -> None:
    svg = (await traced(MapNode("map", slowly, max_concurrency=2), [1, 3, 2])).timeline().svg
    (x0, long0, y0), (x2, long2, y2), (x1, long1, y1) = bars(svg)
    assert y0 == y2 < y1
    assert x0 == x1 < x2
    assert long1 == pytest.approx(3 * long0, abs=3)
    assert long2 == pytest.approx(2 * long0, abs=3)


async def test_a_stage_says_how_busy_it_was_and_what_became_of_its_items() -> None:
    chain = MapNode("map", slowly, "a", "b", 2, continue_on_error=True) | FilterNode(
        "filter", lambda x: x > 1, "b", "c"
    )
    svg = (await traced(chain, [1, 3, 2, "x"])).timeline().svg
    words = texts(svg)
    assert words[0] == "map: 2 slots, 100% busy · 4 items · 1 failed"
    assert "filter: 1 of 10 slots used, 0% busy · 3 items · 1 dropped" in words


async def test_tries_are_marked_and_counted() -> None:
    left = [True, True]

    async def flaky(_: Any) -> None:
        await slowly(1)
        if left and left.pop():
            raise ValueError("no")

    stage = MapNode("map", FunctionNode(flaky).pipe(retry(3, wait=1)))
    svg = (await traced(stage, [1])).timeline().svg
    assert "map: 1 of 10 slots used, 10% busy · 1 item · retried 2 times" in texts(svg)
    assert count_of(svg, "path", fill="#fff") == 3  # two, and the legend's


async def test_runs_that_overlap_have_rows_of_their_own() -> None:
    trace = Trace()
    processor = BatchProcessor(slowly, 1, trace=trace)
    await asyncio.gather(processor.batch([2, 2]), processor.batch([3]))
    by_row: dict[float, list[tuple[float, float]]] = {}
    for x, width, y in bars(trace.timeline().svg):
        by_row.setdefault(y, []).append((x, x + width))
    assert len(by_row) == 2
    for row in by_row.values():
        for (_, end), (start, _) in pairwise(sorted(row)):
            assert end <= start


async def test_items_that_took_no_time_are_drawn_as_few_bars() -> None:
    trace = await traced(MapNode("map", double, continue_on_error=True), range(5_000))
    ((_, width, _),) = bars(trace.timeline().svg)
    assert width >= 1
    assert any("5,000 items, lane 0" in words for words in titles(trace.timeline().svg))


@pytest.mark.slow
async def test_of_items_drawn_as_one_as_much_is_red_as_has_failed() -> None:
    stage = MapNode("map", lambda x: slowly(0.001 / (x % 10)), max_concurrency=1)
    stage.continue_on_error = True
    svg = (await traced(stage, range(20_000))).timeline().svg
    rects = [rect for rect in parsed(svg).iter() if rect.tag.endswith("}rect")]
    red = sum(float(rect.get("width", 0)) for rect in rects if rect.get("fill") == RED)
    drawn = sum(width for _, width, _ in bars(svg))
    assert red == pytest.approx(0.1 * drawn, rel=0.35)


@pytest.mark.slow
async def test_of_items_drawn_as_one_the_gaps_between_them_make_it_paler() -> None:
    chain = MapNode("busy", slowly, "a", "b", 1) | MapNode("idle", twice_as_fast, "b", "c", 1)
    svg = (await traced(chain, [1] * 5_000)).timeline().svg
    opacities = [rect.get("fill-opacity") for rect in parsed(svg).iter() if len(rect) == 1]
    assert {opacity for opacity in opacities if opacity} >= {"0.63"}
    assert "many items, with gaps" in texts(svg)


async def test_single_items_are_as_strong_as_their_colour_and_need_no_word_for_gaps() -> None:
    svg = (await traced(MapNode("map", slowly), [1, 2])).timeline().svg
    assert texts(svg)[-3:-1] == ["at work", "idle"]


async def test_what_it_says_is_never_cut() -> None:
    trace = await traced(MapNode("W" * 100, slowly, max_concurrency=3), [1, 9])
    words = " ".join(texts(trace.timeline().svg))
    assert words.endswith(trace.timeline().bottleneck)


@pytest.mark.parametrize("limit", [1, 12, 40, 2_000])
async def test_rows_lie_below_each_other_inside_the_picture(limit: int) -> None:
    svg = (
        (await traced(MapNode("m" * 300, slowly, max_concurrency=limit), [1] * 3_000))
        .timeline()
        .svg
    )
    _, _, width, height = map(float, str(parsed(svg).get("viewBox")).split())
    rows = sorted({y for _, _, y in bars(svg)})
    assert len(rows) == min(limit, 40)
    assert height > rows[-1] + 50
    assert all(x + wide <= width for x, wide, _ in bars(svg))
    assert all(b - a > 3 for a, b in pairwise(rows))


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_string_gets_out_of_its_place(text: str) -> None:
    def fail(_: Any) -> None:
        raise ValueError(text)

    stage = MapNode(text or "map", FunctionNode(fail), continue_on_error=True)
    timeline = (await traced(stage, [text])).timeline()
    parsed(timeline.svg)
    assert len(timeline.svg) < 6_000
    assert len(timeline.bottleneck) < 250
