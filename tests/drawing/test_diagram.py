"""Pipelines draw themselves: which stages are one chain, and what limits them."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from reactivex import operators as ops

from nadoo_flow import (
    BaseNode,
    FilterNode,
    FunctionNode,
    MapNode,
    OperatorNode,
    ParallelNode,
    ParallelStrategy,
    ReduceNode,
)
from nadoo_flow.policies import rate_limit, retry, timeout

from ..hostile_texts import HOSTILE, parsed, texts
from ..stand_ins import double

CHAIN = MapNode("rate", double, "a", "b", 5) | ReduceNode("sum", max, 0, "b", "c")


def test_a_pipeline_is_written_as_a_flowchart() -> None:
    assert (FunctionNode(double, "load") | CHAIN | FunctionNode(double, "tell")).to_mermaid() == (
        """\
flowchart TD
    node0["load<br/>FunctionNode"]
    subgraph part1["one chain: items pass one by one, at most 24 on their way"]
        node1["rate<br/>MapNode · double, at most 5 at a time"]
        node2["sum<br/>ReduceNode · one at a time, in order"]
    end
    node3["tell<br/>FunctionNode"]
    node0 --> node1
    node1 --> node2
    node2 --> node3"""
    )


def test_a_picture_says_the_same() -> None:
    assert texts((FunctionNode(double, "load") | CHAIN)._repr_svg_()) == [
        "one chain: items pass one by one, at most 24 on their way",
        "load",
        "FunctionNode",
        "rate",
        "MapNode · double, at most 5 at a time",
        "sum",
        "ReduceNode · one at a time, in order",
    ]


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (FunctionNode(double).pipe(timeout(5), retry(2)), "FunctionNode · with timeout, retry"),
        (
            MapNode("map", FunctionNode(double).pipe(rate_limit(5))),
            "MapNode · double with rate_limit, at most 10 at a time",
        ),
        (
            MapNode("map", double).pipe(timeout(5)),
            "MapNode · double, at most 10 at a time · with timeout",
        ),
        (FilterNode("filter", bool, max_concurrency=1_000), "FilterNode · at most 1,000 at a time"),
        (OperatorNode(ops.distinct()), "OperatorNode · in order"),
        (
            ParallelNode(
                [FunctionNode(double, "a"), FunctionNode(double, "b")], ParallelStrategy.RACE
            ),
            "ParallelNode · race of a, b",
        ),
        (BaseNode("mine"), "BaseNode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_node_says_what_limits_it(node: BaseNode, says: str) -> None:
    assert texts(node._repr_svg_())[1] == says


def test_stages_that_stay_apart_are_in_no_frame() -> None:
    apart = ReduceNode("one", max, 0, "a", "b") | MapNode("two", double, "b", "y")
    assert "one chain" not in apart._repr_svg_()
    assert "subgraph" not in apart.to_mermaid()


def test_boxes_lie_below_each_other_inside_the_picture() -> None:
    svg = (CHAIN | FunctionNode(double) | CHAIN)._repr_svg_()
    root = parsed(svg)
    _, _, width, height = map(float, str(root.get("viewBox")).split())
    rects = [
        {key: float(rect.get(key, 0)) for key in ("x", "y", "width", "height")}
        for rect in root.iter()
        if rect.tag.endswith("}rect")
    ]
    boxes = sorted((r for r in rects if r["height"] == 50), key=lambda rect: rect["y"])
    assert len(boxes) == 5
    for above, below in pairwise(boxes):
        assert above["y"] + above["height"] + 15 < below["y"]
    for rect in rects:
        assert 0 < rect["x"] < rect["x"] + rect["width"] < width
        assert 0 < rect["y"] < rect["y"] + rect["height"] < height


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_no_string_gets_out_of_its_place(text: str) -> None:
    async def child(value: Any) -> Any:
        return value

    node = MapNode(text, FunctionNode(child, text)) | FunctionNode(child, text)
    assert len(texts(node._repr_svg_())) == 4
    lines = node.to_mermaid().splitlines()
    assert len(lines) == 4
    for line in lines[1:3]:
        assert re.fullmatch(r'    node\d\["[^"`<>\[\]{}|]*<br/>[^"`<>\[\]{}|]*"\]', line)
