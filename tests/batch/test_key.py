"""Batches with a key: inputs of equal key are processed one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    FunctionNode,
    NodeContext,
    NodeError,
    NodeResult,
    WorkflowContext,
)
from nadoo_flow.policies import retry

from ..stand_ins import assert_only_the_caller_runs, now, raised_by

real = pytest.mark.asyncio(loop_factories=["real"])

Call = dict[str, Any]


def call(who: str, seconds: float = 1, fails: bool = False) -> Call:
    return {"who": who, "seconds": seconds, "fails": fails}


def by_who(item: Call) -> str:
    who: str = item["who"]
    return who


class Phone:
    """A node that notes when each call begins."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, float]] = []

    async def __call__(self, item: Call) -> str:
        self.begun.append((item["who"], now()))
        await asyncio.sleep(item["seconds"])
        if item["fails"]:
            raise ValueError("engaged")
        return str(item["who"])


CALLS = [call("a", 3), call("a"), call("b"), call("b", fails=True), call("b"), call("c")]


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_r40_inputs_of_a_key_run_one_after_the_other(isolate: Any) -> None:
    phone = Phone()
    node = FunctionNode(phone)
    node.isolate = isolate
    results = await BatchProcessor(node, key=by_who).batch(CALLS)
    assert phone.begun == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("b", 2), ("a", 3)]
    assert [result.output for result in results] == ["a", "a", "b", None, "b", "c"]
    assert results[3].error == "ValueError: engaged"
    assert now() == 4


async def test_rule_r40_a_key_may_be_of_bare_values_and_of_other_limits() -> None:
    begun: list[tuple[int, float]] = []

    async def work(number: int) -> int:
        begun.append((number, now()))
        await asyncio.sleep(1)
        return number

    processor = BatchProcessor(work, 2, key=lambda number: number % 2)
    completed = [result.output async for result in processor.batch_as_completed(range(5))]
    assert completed == [0, 1, 2, 3, 4]
    assert begun == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)]
    assert [
        [r.index for r in chunk] async for chunk in processor.batch_in_chunks([2, 4, 1], 2)
    ] == [
        [0, 1],
        [2],
    ]


async def test_with_continue_on_error_false_the_first_failure_ends_the_run() -> None:
    phone = Phone()
    processor = BatchProcessor(phone, continue_on_error=False, key=by_who)
    error = await raised_by(processor.batch(CALLS))
    assert isinstance(error, NodeError)
    assert (error.index, error.error) == (3, "ValueError: engaged")
    assert phone.begun == [("a", 0), ("b", 0), ("c", 0), ("b", 1)]
    assert_only_the_caller_runs()


async def test_rule_r42_all_inputs_of_one_key_are_processed_within_the_window() -> None:
    pulled: list[int] = []
    ahead: list[int] = []

    def pull() -> Iterator[int]:
        for number in range(100):
            pulled.append(number)
            yield number

    async def work(number: int) -> int:
        ahead.append(len(pulled) - number)
        await asyncio.sleep(1)
        return number

    processor = BatchProcessor(work, 5, key=lambda number: "hot")
    results = await processor.batch(pull())
    assert [result.output for result in results] == list(range(100))
    assert now() == 100
    assert max(ahead) == 20


async def test_rule_r43_an_input_without_a_key_fails_and_the_others_go_on() -> None:
    def get_key(value: Any) -> Any:
        if value == "bad":
            raise LookupError("no such customer")
        return [value] if value == "list" else value

    processor: BatchProcessor = BatchProcessor(str.upper, key=get_key)
    results = await processor.batch(["a", "bad", "list", "a"])
    assert [result.output for result in results] == ["A", None, None, "A"]
    assert [result.error for result in results if result.error] == [
        "RuntimeError: key raised LookupError: no such customer for 'bad' (str)",
        "TypeError: key must return a hashable value, got ['list'] (list) for 'list' (str)",
    ]
    assert isinstance(results[1].exception, RuntimeError)
    assert isinstance(results[1].exception.__cause__, LookupError)
    assert [result.input_data for result in results] == ["a", "bad", "list", "a"]

    strict = BatchProcessor(str.upper, continue_on_error=False, key=get_key)
    error = await raised_by(strict.batch(["a", "bad"]))
    assert isinstance(error, NodeError)
    assert str(error) == (
        "node 'upper' failed on item 1: RuntimeError: key raised LookupError: "
        "no such customer for 'bad' (str)"
    )


async def test_an_interrupt_in_the_key_function_ends_the_run() -> None:
    def get_key(value: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await BatchProcessor(str.upper, key=get_key).batch(["a"])
    assert_only_the_caller_runs()


async def by_who_later(item: Call) -> str:
    return by_who(item)


def yield_who(item: Call) -> Iterator[str]:
    yield by_who(item)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("who", "key must be a function, got 'who' (str)"),
        (by_who_later, "key must be a function that is not async, got <function by_who_later"),
        (yield_who, "key must be a function that returns something, got <function yield_who"),
    ],
)
def test_what_can_never_be_a_key_function_is_refused(key: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        BatchProcessor(str.upper, key=key)
    assert str(caught.value).startswith(message)


async def test_rule_r40_what_failed_is_tried_again_in_the_order_of_its_key() -> None:
    tried: list[tuple[int, float]] = []

    async def work(number: int) -> int:
        tried.append((number, now()))
        await asyncio.sleep(1)
        if len(tried) <= 6:
            raise ConnectionError
        return number

    processor = BatchProcessor(work, key=lambda number: number % 2)
    results = await processor.retry_failed(await processor.batch(range(6)), 1, wait=7)
    assert [result.output for result in results] == list(range(6))
    assert tried[6:] == [(0, 10), (1, 10), (2, 11), (3, 11), (4, 12), (5, 12)]


@real
async def test_rule_r40_a_checkpoint_keeps_the_order_and_resumes_it(tmp_path: Path) -> None:
    begun: list[int] = []
    at_work: set[int] = set()
    failing = {3, 4, 10}

    async def work(number: int) -> int:
        assert number % 3 not in at_work
        at_work.add(number % 3)
        begun.append(number)
        await asyncio.sleep(0)
        at_work.remove(number % 3)
        if number in failing:
            raise ConnectionError
        return number

    def in_order_of_keys() -> list[int]:
        return sorted(begun, key=lambda number: (number % 3, begun.index(number)))

    def process() -> BatchProcessor[int, int]:
        return BatchProcessor(work, key=lambda n: n % 3, checkpoint=tmp_path / "run.sqlite")

    await process().batch(range(12))
    assert in_order_of_keys() == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]
    failing -= {4}
    begun.clear()
    results = await process().batch(range(20))
    assert in_order_of_keys() == [3, 12, 15, 18, 4, 10, 13, 16, 19, 14, 17]
    begun.clear()
    failing.clear()
    results = await process().retry_failed(results, 1, wait=0)
    assert in_order_of_keys() == [3, 10]
    assert [result.output for result in results] == list(range(20))


async def test_events_say_when_an_item_starts_and_that_one_without_a_key_fails() -> None:
    seen: list[tuple[str, int | None, float]] = []
    processor = BatchProcessor(Phone(), key=lambda item: item.get("who") or [])
    processor.events.subscribe(lambda event: seen.append((event.kind, event.index, event.time)))
    await processor.batch([call("a"), call("a"), call("")])
    assert [event for event in seen if event[1] is not None] == [
        ("started", 0, 0),
        ("started", 2, 0),
        ("failed", 2, 0),
        ("finished", 0, 1),
        ("started", 1, 1),
        ("finished", 1, 2),
    ]


async def test_rule_r40_an_item_has_ended_when_its_last_attempt_has() -> None:
    begun: list[tuple[str, float]] = []

    async def flaky(who: str) -> str:
        begun.append((who, now()))
        await asyncio.sleep(1)
        if len(begun) < 3:
            raise ConnectionError
        return who

    node = FunctionNode(flaky).pipe(retry(3, wait=5))
    await BatchProcessor(node, key=lambda who: "same").batch(["a", "b"])
    assert begun == [("a", 0), ("a", 6), ("a", 12), ("b", 13)]


class Lengths(BatchProcessor[str, int]):
    """Has a way of its own to process one input."""

    begun: list[tuple[str, float]]

    async def process_single(
        self, input_data: str, index: int, workflow_context: WorkflowContext | None = None
    ) -> BatchResult[str, int]:
        self.begun.append((input_data, now()))
        await asyncio.sleep(1)
        return await super().process_single(input_data, index, workflow_context)


async def test_rule_r40_an_override_of_process_single_is_called_in_order_too() -> None:
    processor = Lengths(len, key=lambda text: text[0])
    processor.begun = []
    results = await processor.batch(["a1", "a2", "b1"])
    assert [result.output for result in results] == [2, 2, 2]
    assert processor.begun == [("a1", 0), ("b1", 0), ("a2", 1)]


class Ends(BaseNode):
    """Does to its own task what a node must not do."""

    def __init__(self) -> None:
        super().__init__("ends")
        self.begun: list[tuple[str, float]] = []

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        how = node_context.input_data["item"]
        self.begun.append((how, now()))
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        if how == "cancels itself":
            task.cancel()
            await asyncio.sleep(1)
        if how == "swallows it":
            task.cancel()
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
        if how == "raises a cancel":
            raise asyncio.CancelledError
        if how == "raises a GeneratorExit":
            raise GeneratorExit
        return NodeResult(True, how)


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_r40_a_hostile_item_lets_the_next_of_its_key_go(isolate: Any) -> None:
    hows = [
        "cancels itself",
        "swallows it",
        "raises a cancel",
        "raises a GeneratorExit",
        "is kind",
    ]
    node = Ends()
    node.isolate = isolate
    results = await BatchProcessor(node, key=lambda how: "same").batch(hows)
    assert node.begun == list(zip(hows, [0, 1, 3, 4, 5], strict=True))
    assert [result.success for result in results] == [False, True, False, False, True]
    assert_only_the_caller_runs()
