"""What a node hands out is made sound where it enters: text for an error, a dict for metadata."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import pytest

from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    BatchResult,
    BatchResults,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ParallelNode,
    ParallelStrategy,
    WorkflowContext,
)
from nadoo_flow.errors import NO_MESSAGE
from nadoo_flow.executors import on
from nadoo_flow.nodes.execution import answer_safely, as_result
from nadoo_flow.nodes.soundness import make_sound
from nadoo_flow.policies import fallback, limit, retry, timeout

BOOM = ValueError("boom")
OTHER = LookupError("other")


class _Answering(BaseNode):
    """Hands out one and the same result."""

    def __init__(self, result: Any) -> None:
        super().__init__("answering")
        self.result = result

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        answer: NodeResult = self.result
        return answer


class _Unreadable:
    def __str__(self) -> str:
        raise ValueError("no str")


def _fields(result: Any) -> tuple[Any, ...]:
    return (result.success, result.error, result.metadata, result.exception)


# What the fields are given as, and what they are to be.
UNSOUND: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "an exception for the error": (
        {"success": False, "error": BOOM},
        (False, "ValueError: boom", {}, BOOM),
    ),
    "an exception for the error beside one": (
        {"success": False, "error": BOOM, "exception": OTHER},
        (False, "ValueError: boom", {}, OTHER),
    ),
    "an exception without an error": (
        {"success": False, "exception": BOOM},
        (False, "ValueError: boom", {}, BOOM),
    ),
    "an exception for the error of a success": (
        {"success": True, "error": BOOM},
        (True, "ValueError: boom", {}, BOOM),
    ),
    "no error": ({"success": False}, (False, NO_MESSAGE, {}, None)),
    "a mapping for the error": (
        {"success": False, "error": {"code": 5}},
        (False, "{'code': 5}", {}, None),
    ),
    "a number for the error": ({"success": False, "error": 0}, (False, "0", {}, None)),
    "an unreadable error": (
        {"success": False, "error": _Unreadable()},
        (False, "<_Unreadable: its text could not be read: ValueError>", {}, None),
    ),
    "a text for the exception": (
        {"success": False, "error": "no luck", "exception": "no luck"},
        (False, "no luck", {}, None),
    ),
    "a text for the exception of a success": (
        {"success": True, "exception": "no luck"},
        (True, None, {}, None),
    ),
    "the exception of a success": ({"success": True, "exception": BOOM}, (True, None, {}, BOOM)),
    "None for the metadata": ({"success": True, "metadata": None}, (True, None, {}, None)),
    "None for the metadata of a failure": (
        {"success": False, "error": "no luck", "metadata": None},
        (False, "no luck", {}, None),
    ),
    "a mapping for the metadata": (
        {"success": True, "metadata": MappingProxyType({"a": 1})},
        (True, None, {"a": 1}, None),
    ),
    "a list for the metadata": (
        {"success": True, "metadata": [1]},
        (True, None, {"metadata": [1]}, None),
    ),
    "a number for the success": ({"success": 1}, (True, None, {}, None)),
    "None for the success": ({"success": None}, (False, NO_MESSAGE, {}, None)),
}
unsound = pytest.mark.parametrize(("given", "sound"), UNSOUND.values(), ids=UNSOUND)


@unsound
@pytest.mark.parametrize("kind", [NodeResult, BatchResult])
def test_rule_r16_each_field_becomes_what_its_annotation_says(
    kind: Any, given: dict[str, Any], sound: tuple[Any, ...]
) -> None:
    result = kind(**given) if kind is NodeResult else kind(3, "input", **given)
    before = _fields(result)
    made = make_sound(result)
    assert _fields(made) == sound
    assert (type(made.success), type(made.metadata)) == (bool, dict)
    assert _fields(result) == before


@pytest.mark.parametrize(
    "result",
    [
        NodeResult(True, 1, metadata={"a": 1}),
        NodeResult(True, 1, "only a warning", OrderedDict(a=1)),
        NodeResult(False, None, "no luck", {}, BOOM),
        BatchResult(0, 1, True, 2),
    ],
)
def test_a_sound_result_stays_the_very_object(result: Any) -> None:
    assert make_sound(result) is result


def test_what_a_class_of_ones_own_adds_is_kept() -> None:
    class Priced(NodeResult):
        def __init__(self, price: float) -> None:
            super().__init__(success=False)
            self.price = price

    made = make_sound(Priced(0.5))
    assert (made.price, made.error) == (0.5, NO_MESSAGE)


class _Single(BatchProcessor):
    """Hands out what its node does, with the fields as they are."""

    async def process_single(
        self, input_data: Any, index: int, workflow_context: WorkflowContext | None = None
    ) -> BatchResult:
        given = _given_by(self.node)
        return BatchResult(index, input_data, **given)


class _Completed(_Single):
    async def batch_as_completed(self, inputs: Any) -> AsyncIterator[BatchResult]:  # type: ignore[override]
        for index, value in enumerate(inputs):
            yield await self.process_single(value, index)


def _given_by(node: BaseNode) -> dict[str, Any]:
    assert isinstance(node, _Answering)
    result = node.result
    return {name: getattr(result, name) for name in ("success", "error", "metadata", "exception")}


@unsound
@pytest.mark.parametrize("processor", [BatchProcessor, _Single, _Completed])
@pytest.mark.parametrize("trace", [False, True], ids=["unwatched", "watched"])
async def test_rule_r16_a_batch_hands_out_only_sound_results(
    processor: Callable[..., BatchProcessor],
    trace: bool,
    given: dict[str, Any],
    sound: tuple[Any, ...],
) -> None:
    batch = processor(_Answering(NodeResult(**given)), trace=trace)
    results = await batch.batch(["a", "b"])
    assert [_fields(result) for result in results] == [sound, sound]
    chunks = [
        _fields(result) async for chunk in batch.batch_in_chunks(["a"], 2) for result in chunk
    ]
    assert chunks == [sound]
    summary = results.summary()
    assert (summary.successful, summary.failed) == ((2, 0) if sound[0] else (0, 2))
    assert repr(results).startswith("BatchResults\n  2 items")
    assert "<table" in results._repr_html_() or sound[0]


@unsound
@pytest.mark.parametrize(
    "wrap",
    [
        retry(1),
        timeout(1),
        limit(AdaptiveLimit()),
        fallback(_Answering(NodeResult(success=False, error="also"))),
        on(ThreadPoolExecutor),
        lambda node: node | FunctionNode(lambda _: 1),
        lambda node: ParallelNode([node], ParallelStrategy.ALL),
        lambda node: ParallelNode([node], ParallelStrategy.RACE),
    ],
    ids=["retry", "timeout", "limit", "fallback", "on", "pipeline", "all", "race"],
)
@pytest.mark.asyncio(loop_factories=["real"])
async def test_rule_r16_whatever_is_around_the_node_keeps_its_success_or_failure(
    wrap: Callable[[BaseNode], BaseNode], given: dict[str, Any], sound: tuple[Any, ...]
) -> None:
    node = wrap(_Answering(NodeResult(**given)))
    result = as_result(await answer_safely(node._bind(WorkflowContext()), {}))
    assert result.success is sound[0]
    assert (result.error is None) == (sound[1] is None) or result.success
    assert type(result.metadata) is dict


@unsound
async def test_rule_r16_a_stage_hands_on_only_sound_errors(
    given: dict[str, Any], sound: tuple[Any, ...]
) -> None:
    stage = MapNode("map", _Answering(NodeResult(**given)), continue_on_error=True)
    result = as_result(await answer_safely(stage._bind(WorkflowContext()), {"items": [1]}))
    errors = [] if sound[0] else [{"index": 0, "error": sound[1]}]
    assert result.metadata["errors"] == errors


async def test_items_do_not_share_the_metadata_that_a_shared_result_did_not_have() -> None:
    shared: Any = NodeResult(success=True, metadata=None)  # type: ignore[arg-type]
    first, second = await BatchProcessor(_Answering(shared)).batch(["a", "b"])
    first.metadata["mine"] = 1
    assert second.metadata == {}


async def test_a_success_that_has_no_truth_fails_alone() -> None:
    class Undecided:
        def __bool__(self) -> bool:
            raise ValueError("neither")

    undecided: Any = Undecided()
    results = await BatchProcessor(_Answering(NodeResult(undecided))).batch([1])
    assert isinstance(results, BatchResults)
    assert [result.error for result in results] == ["ValueError: neither"]
