"""Log records say for which item they were logged."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FilterNode, FunctionNode, MapNode, Trace
from nadoo_flow.events import readers
from nadoo_flow.policies import in_thread
from nadoo_flow.telemetry import ItemFilter

from .recorder import Recorder

log = logging.getLogger(__name__)


class _Handler(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def items(self) -> list[tuple[Any, Any]]:
        return [(record.stage, record.index) for record in self.records]


@pytest.fixture
def handler() -> Iterator[_Handler]:
    handler = _Handler()
    handler.addFilter(ItemFilter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)


def say(number: int) -> int:
    log.info("hello")
    return number


async def say_later(number: int) -> int:
    await asyncio.sleep(1)
    return say(number)


@pytest.mark.parametrize(
    "node",
    [
        FunctionNode(say, "node"),
        FunctionNode(say_later, "node"),
        FunctionNode(say, "node").pipe(in_thread()),
    ],
    ids=["sync", "async", "in a thread"],
)
async def test_a_record_of_a_node_names_its_item(handler: _Handler, node: Any) -> None:
    await BatchProcessor(node, 1).batch([7, 8])
    assert handler.items == [("node", 0), ("node", 1)]
    assert len({record.run for record in handler.records}) == 1


async def test_each_stage_of_a_chain_has_its_name(handler: _Handler) -> None:
    chain = MapNode("a", say, output_key="items", max_concurrency=1) | FilterNode("b", say)
    await chain.run({"items": [1]})
    assert handler.items == [("a", 0), ("b", 0)]


async def test_of_a_run_inside_an_item_it_is_the_inner_item(handler: _Handler) -> None:
    async def outer(number: int) -> None:
        say(number)
        await BatchProcessor(FunctionNode(say, "inner"), 1).batch([1, 2])
        say(number)

    await BatchProcessor(FunctionNode(outer, "outer")).batch([1])
    assert handler.items == [("outer", 0), ("inner", 0), ("inner", 1), ("outer", 0)]


async def test_of_a_run_that_is_watched_and_reported_it_is_the_number_there(
    handler: _Handler,
) -> None:
    recorder, record = Recorder(), Trace()
    with recorder.instrument():
        await BatchProcessor(FunctionNode(say, "node"), trace=record).batch([1])
    assert [each.run for each in handler.records] == [event.run for event in record.events[:1]]


def test_a_record_of_no_item_has_none(handler: _Handler) -> None:
    say(1)
    assert [(each.run, each.stage, each.index) for each in handler.records] == [(None, None, None)]


async def test_what_a_record_has_of_its_own_stays(handler: _Handler) -> None:
    def say_which(_: int) -> None:
        log.info("hello", extra={"index": "own"})

    await BatchProcessor(FunctionNode(say_which, "node")).batch([1])
    assert handler.items == [("node", "own")]


async def test_it_can_be_used_in_a_format(handler: _Handler) -> None:
    handler.setFormatter(logging.Formatter("%(stage)s[%(index)s] %(message)s"))
    await BatchProcessor(FunctionNode(say, "node")).batch([1])
    assert [handler.format(record) for record in handler.records] == ["node[0] hello"]


def test_runs_keep_track_of_items_only_while_there_is_a_filter() -> None:
    gc.collect()
    before = len(readers)
    kept = ItemFilter()
    assert kept in readers
    del kept
    gc.collect()
    assert len(readers) == before
