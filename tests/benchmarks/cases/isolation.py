"""What it costs that a context variable of one item is not seen by the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any

from ..model import Case, Contestant, Params, Run, us_per_item
from ..nodes import Total, expected_total, inputs, make_node
from ..peer_ways import calling
from ..shapes import Inputs, Way, folded, over
from ..ways import bare_pool, ours_as_completed


def _pool_through(call: Callable[[Any], Any]) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    async def run(inputs: Inputs) -> Total:
        return await bare_pool(_Called(call), 10)(inputs)

    return run


class _Called:
    """Something that a bare pool can execute."""

    def __init__(self, call: Callable[[Any], Any]) -> None:
        self._call = call

    def execute(self, node_context: Any, workflow_context: Any) -> Any:
        return self._call(node_context.input_data)


def _shared_pool(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    return _pool_through(calling(node))


def _copying_pool(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    """Copy the context for each item, and make its coroutine inside, but drive it outside."""
    call = calling(node)
    return _pool_through(lambda data: copy_context().run(call, data))


def _task_pool(node: Any, concurrency: int) -> Callable[[Inputs], Coroutine[Any, Any, Total]]:
    """Give each item a task, and with it a context, as asyncio does it."""
    call = calling(node)
    return _pool_through(lambda data: asyncio.create_task(call(data)))


def _prepare(way: Way, isolate: str, params: Params) -> Run:
    run = way(make_node(params["node"], isolate=isolate), 10)
    return over(run, inputs(params["n"]))


def _contestant(name: str, way: Way, isolate: str = "context") -> Contestant:
    return Contestant(name, partial(_prepare, way, isolate))


CASES = (
    Case(
        module=__name__,
        name="isolation",
        title="Cost of an item by how its context is kept apart, concurrency 10",
        unit="us/item",
        variants=tuple({"n": 100_000, "node": node} for node in ("plain", "yield")),
        contestants=(
            _contestant('nadoo-flow, isolate="context"', folded(ours_as_completed)),
            _contestant('nadoo-flow, isolate="task"', folded(ours_as_completed), "task"),
            _contestant("bare asyncio pool, shared context", _shared_pool),
            _contestant("bare asyncio pool, a copy_context() an item", _copying_pool),
            _contestant("bare asyncio pool, a task an item", _task_pool),
        ),
        expected=expected_total,
        figure=us_per_item,
        never_waits=True,
    ),
)
