"""Streams whose outputs say which item of the source they belong to."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest
from reactivex import operators as ops

from nadoo_flow import (
    ExpandNode,
    FilterNode,
    FlatMapNode,
    MapNode,
    NodeError,
    OperatorNode,
    ReduceNode,
)
from nadoo_flow.stages.indexes import IndexedOutput, OutputIndex

from ..stand_ins import answer, observed, raised_by, slowly


async def tokens(text: str) -> AsyncIterator[str]:
    for token in text.split():
        await asyncio.sleep(len(token))
        yield token


TEXTS = ["aaa aaa", "b", "", "cc cc"]


async def test_outputs_carry_the_index_of_their_item() -> None:
    stage = MapNode("slow", slowly)
    async with stage.stream([3, 1, 2], indexed=True) as outputs:
        assert [output async for output in outputs] == [(1, 1), (2, 2), (0, 3)]
    async with stage.stream([3, 1], indexed=True) as outputs:
        first = await anext(outputs)
    assert isinstance(first, IndexedOutput)
    assert (first.index, first.value) == (1, 1)


async def test_many_outputs_carry_that_of_their_parent() -> None:
    stage = FlatMapNode("tokens", tokens)
    async with stage.stream(TEXTS, indexed=True) as outputs:
        found = [output async for output in outputs]
    assert found == [(1, "b"), (3, "cc"), (0, "aaa"), (3, "cc"), (0, "aaa")]
    async with stage.stream(TEXTS, indexed=True, ordered=True) as outputs:
        found = [output async for output in outputs]
    assert found == [(0, "aaa"), (0, "aaa"), (1, "b"), (3, "cc"), (3, "cc")]


async def test_through_a_chain_they_carry_that_of_the_source() -> None:
    chain = (
        FlatMapNode("tokens", tokens, output_key="items")
        | FilterNode("not b", lambda token: token != "b", output_key="items")
        | FlatMapNode("letters", lambda token: list(token), output_key="items")
        | MapNode("upper", str.upper)
    )
    async with chain.stream(TEXTS, indexed=True, ordered=True) as outputs:
        found = [output async for output in outputs]
    assert found == [(0, "A")] * 6 + [(3, "C")] * 4


@pytest.mark.parametrize(
    ("stage", "found"),
    [
        (OperatorNode(ops.skip(1)), [(0, 6), (1, 7)]),
        (ReduceNode("sum", lambda total, value: total + value, 0), [(0, 18)]),
        (ExpandNode("halves", lambda value: [value // 2] if value > 6 else []), None),
    ],
)
async def test_what_belongs_to_no_one_item_carries_its_number(
    stage: Any, found: list[tuple[int, int]] | None
) -> None:
    async with stage.stream([5, 6, 7], indexed=True, ordered=True) as outputs:
        assert [output async for output in outputs] == (found or [(0, 5), (1, 6), (2, 7), (3, 3)])


async def collect(stream: Any) -> list[Any]:
    async with stream:
        return [output async for output in stream]


def _refuse_c(token: str) -> str:
    if token == "cc":
        raise ValueError("no c")
    return token


@pytest.mark.parametrize(
    "stage",
    [
        MapNode("last", _refuse_c),
        FilterNode("last", _refuse_c),
        FlatMapNode("last", lambda token: [_refuse_c(token)]),
        ReduceNode("last", lambda _, token: _refuse_c(token)),
        MapNode("last", _refuse_c, key=len),
    ],
    ids=["map", "filter", "flat_map", "reduce", "key"],
)
async def test_a_failure_behind_many_outputs_names_the_item_of_the_source(stage: Any) -> None:
    chain = FlatMapNode("tokens", tokens, output_key="items") | stage
    error = await raised_by(collect(chain.stream(TEXTS)))
    assert isinstance(error, NodeError)
    assert (error.index, type(error.index)) == (3, int)
    error = await raised_by(chain.run({"items": TEXTS}))
    assert str(error) == f"node {chain.node_id!r} failed: stage 'last': item 3: ValueError: no c"


async def test_what_is_left_out_behind_many_outputs_too(caplog: pytest.LogCaptureFixture) -> None:
    chain = (
        FlatMapNode("tokens", tokens, output_key="items")
        | FlatMapNode("letters", lambda token: list(token), output_key="items")
        | MapNode("last", lambda letter: {"a": 1, "b": 2}[letter], continue_on_error=True)
    )
    result = await answer(chain, {"items": TEXTS})
    assert (
        result.metadata["errors"] == [{"index": 3, "error": "KeyError: 'c'", "stage": "last"}] * 4
    )
    async with chain.stream(TEXTS[3:]) as outputs:
        assert [output async for output in outputs] == []
    assert {record.getMessage() for record in caplog.records} == {
        "node 'last' goes on without item 0: KeyError: 'c'"
    }


async def test_behind_what_numbers_anew_it_is_the_number_of_the_output() -> None:
    skip = OperatorNode(ops.skip(1), output_key="items")
    chain = FlatMapNode("tokens", tokens, output_key="items") | skip | MapNode("last", _refuse_c)
    async with chain.stream(["cc", "b cc"], ordered=True) as outputs:
        assert await anext(outputs) == "b"
        error = await raised_by(anext(outputs))
    assert isinstance(error, NodeError)
    assert error.index == 1


async def test_an_observed_run_has_them_too() -> None:
    outputs: list[Any] = []
    stage = MapNode("slow", slowly)
    assert await observed(stage.observe([2, 1], indexed=True), outputs) is None
    assert outputs == [(1, 1), (0, 2)]


async def test_it_is_a_bool() -> None:
    with pytest.raises(TypeError, match=r"^indexed must be "):
        MapNode("slow", slowly).stream([1], indexed="yes")  # type: ignore[call-overload]


def test_an_index_is_a_number_that_knows_its_source() -> None:
    index = OutputIndex(7, 2)
    assert (index, index.source, index + 1) == (7, 2, 8)
    for copied in (copy.copy(index), pickle.loads(pickle.dumps(index))):
        assert (copied, copied.source) == (7, 2)
