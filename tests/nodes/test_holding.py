"""A node that holds the event loop is reported."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode, ReduceNode
from nadoo_flow.nodes.node import BaseNode
from nadoo_flow.policies import retry
from nadoo_flow.streams.turn import BUDGET, HELD
from nadoo_flow.testing import advance

from ..stand_ins import log_of_the_loop

TEXT = (
    "node 'work' held the event loop for 0.15 s in one step, in which nothing else could go on; "
    "a function that blocks belongs in a thread: FunctionNode(function).pipe(in_thread())"
)


def block(value: Any) -> Any:
    advance(0.15)
    return value


async def block_at_first(value: Any) -> Any:
    advance(0.15)
    await asyncio.sleep(0.01)
    return value


async def block_at_last(value: Any) -> Any:
    await asyncio.sleep(0.01)
    advance(0.15)
    return value


async def block_between(value: Any) -> Any:
    await asyncio.sleep(0.01)
    advance(0.15)
    await asyncio.sleep(0.01)
    return value


async def fail_slowly(value: Any) -> Any:
    await asyncio.sleep(0.01)
    advance(0.15)
    raise ValueError(value)


async def wait(value: Any) -> Any:
    await asyncio.sleep(0.15)
    return value


def compute(value: Any) -> Any:
    advance(HELD - BUDGET)
    return value


async def texts_of(node: BaseNode, inputs: int = 30, batches: int = 1) -> list[str]:
    """Run a node over inputs, and return the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(batches):
            await BatchProcessor(node, 5).batch(range(inputs))
    assert {warning.category for warning in caught} <= {RuntimeWarning}
    return [str(warning.message) for warning in caught]


every_way = pytest.mark.parametrize(
    "function", [block, block_at_first, block_at_last, block_between, fail_slowly]
)


@every_way
async def test_it_is_named_once(function: Callable[[Any], Any]) -> None:
    assert await texts_of(FunctionNode(function, "work"), batches=2) == [TEXT]


async def test_it_is_named_behind_policies() -> None:
    assert await texts_of(FunctionNode(block_at_last, "work").pipe(retry(2))) == [TEXT]


@pytest.mark.parametrize("function", [wait, compute])
async def test_one_that_waits_or_takes_less_is_not_reported(function: Any) -> None:
    assert await texts_of(FunctionNode(function, "work")) == []


async def test_a_node_beside_one_that_blocks_is_not_reported() -> None:
    other, over = FunctionNode(wait, "other"), False

    async def until_over() -> None:
        while not over:
            advance(0.15)
            await asyncio.sleep(0.01)

    blocking = asyncio.create_task(until_over())
    assert await texts_of(other) == []
    over = True
    await blocking


@pytest.mark.parametrize(
    "stage",
    [
        MapNode(child_node=FunctionNode(block, "work")),
        FilterNode("work", block),
        ReduceNode("work", lambda total, value: block(value)),
    ],
    ids=lambda stage: type(stage).__name__,
)
async def test_a_list_stage_reports_it_too(stage: Any) -> None:
    with pytest.warns(RuntimeWarning, match="node 'work' held"):
        await stage.run({"items": list(range(5))})


async def test_where_warnings_are_errors_no_item_fails_by_it() -> None:
    log = log_of_the_loop()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = await BatchProcessor(FunctionNode(block, "work")).batch(range(5))
    assert results.outputs == list(range(5))
    assert [context["message"] for context in log()] == [TEXT]
