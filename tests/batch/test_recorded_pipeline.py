"""A batch whose checkpoint records each node of its pipeline."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import (
    BatchProcessor,
    BatchResult,
    BatchResults,
    CheckpointError,
    FunctionNode,
    MapNode,
    NodeError,
    NodeResult,
    Pipeline,
    Valve,
)
from nadoo_flow.policies import retry

from ..checkpoint.chains import copy_files
from ..checkpoint.helpers import InMemory

NUMBERS = range(40)


class Work:
    """The nodes of a pipeline: they count, and fail where it is said so."""

    def __init__(self, **failing: Iterable[int]) -> None:
        self.executed: Counter[tuple[str, int]] = Counter()
        self.failing = {name: set(numbers) for name, numbers in failing.items()}

    async def _execute(self, name: str, number: int) -> None:
        self.executed[name, number] += 1
        await asyncio.sleep(0)
        if number in self.failing.get(name, ()):
            raise ValueError(f"not {number}")

    async def fetch(self, number: int) -> dict[str, int]:
        await self._execute("fetch", number)
        return {"n": number}

    async def square(self, data: dict[str, int]) -> NodeResult:
        await self._execute("square", data["n"])
        return NodeResult(
            True, {**data, "square": data["n"] ** 2}, metadata={"usage": {"tokens": 10}}
        )

    async def name(self, data: dict[str, int]) -> NodeResult:
        await self._execute("name", data["n"])
        usage = {"usage": {"tokens": 1}, "model": "m", "raw": object()}
        return NodeResult(True, f"{data['square']}", metadata=usage)

    def pipeline(self) -> Any:
        return FunctionNode(self.fetch, "fetch") | FunctionNode(self.square, "square") | self.name

    def of(self, name: str) -> list[int]:
        return sorted(number for each, number in self.executed.elements() if each == name)


def make_processor(path: object, work: Work, **options: Any) -> BatchProcessor[Any, Any]:
    return BatchProcessor(work.pipeline(), checkpoint=path, checkpoint_each=True, **options)  # type: ignore[arg-type]


def get_outputs(results: Iterable[BatchResult]) -> list[Any]:
    return [result.output for result in results]


SQUARES = [f"{number * number}" for number in NUMBERS]


async def test_rule_r60_only_the_missing_pairs_of_node_and_item_are_executed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.sqlite"
    first = Work(fetch=[1, 2], square=[3], name=[4, 5])
    results = await make_processor(path, first).batch(NUMBERS)
    assert [result.index for result in results.failed] == [1, 2, 3, 4, 5]
    assert results[3].error == "stage 'square': ValueError: not 3"
    second = Work()
    results = await make_processor(path, second).batch(NUMBERS)
    assert get_outputs(results) == SQUARES
    assert [second.of(name) for name in ("fetch", "square", "name")] == [
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4, 5],
    ]


async def test_rule_r61_results_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    first = await make_processor(path, Work()).batch(NUMBERS)
    work = Work()
    second = await make_processor(path, work).batch(NUMBERS)
    assert work.executed.total() == 0
    assert get_outputs(second) == get_outputs(first) == SQUARES
    assert [each.execution_time for each in second] == [each.execution_time for each in first]
    assert first[0].metadata["usage"] == {"tokens": 11}
    assert second[0].metadata == {"saved": {"tokens": 11}, "model": "m", "resumed": True}


async def test_what_recorded_nodes_have_used_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await make_processor(path, Work(name=NUMBERS)).batch(NUMBERS)
    results = await make_processor(path, Work(name=[7])).batch(NUMBERS)
    assert results[7].metadata == {"saved": {"tokens": 10}}
    assert results[8].metadata["saved"] == {"tokens": 10}
    assert results[8].metadata["usage"] == {"tokens": 1}
    assert "resumed" not in results[8].metadata


async def test_rule_r60_a_copy_at_any_moment_repeats_one_node_for_each_item_in_work(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.sqlite"
    copies = []

    class Copying(Work):
        async def square(self, data: dict[str, int]) -> NodeResult:
            if data["n"] % 7 == 3:
                folder = tmp_path / f"at {data['n']}"
                copies.append((copy_files(path, folder), self.executed.copy()))
            return await super().square(data)

    results = await make_processor(path, Copying(), max_concurrency=5).batch(NUMBERS)
    assert get_outputs(results) == SQUARES
    assert len(copies) == 6
    for copy, before in copies:
        work = Work()
        results = await make_processor(copy, work, max_concurrency=5).batch(NUMBERS)
        assert get_outputs(results) == SQUARES
        # It was taken in the middle of a node, whose input was on the disk.
        assert sum((before & work.executed).values()) <= 5
        assert max(work.executed.values()) == 1


async def test_rule_r61_a_result_that_is_handed_out_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    seen: list[int] = []
    async with make_processor(path, Work()).batch_as_completed(NUMBERS) as results:
        async for result in results:
            seen.append(result.index)
            if len(seen) == 12:
                copy = copy_files(path, tmp_path / "copy")
                break
    work = Work()
    again = await make_processor(copy, work).batch(NUMBERS)
    assert get_outputs(again) == SQUARES
    assert {number for _, number in work.executed}.isdisjoint(seen)


@pytest.mark.parametrize("change", ["id", "order", "number"])
async def test_rule_r62_another_pipeline_is_an_error_that_names_both(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "run.sqlite"
    a, b, c = (FunctionNode(lambda value: value, name) for name in "abc")
    nodes = {"id": (a, c), "order": (b, a), "number": (a, b, c)}[change]

    def make(*nodes: Any) -> BatchProcessor[Any, Any]:
        pipeline = Pipeline(*nodes, node_id="the same")
        return BatchProcessor(pipeline, checkpoint=path, checkpoint_each=True)

    await make(a, b).batch([1])
    with pytest.raises(CheckpointError) as refused:
        await make(*nodes).batch([1])
    found = " | ".join(f"{node.node_id!r} (FunctionNode)" for node in nodes)
    assert str(refused.value) == (
        f"the checkpoint {str(path)!r} belongs to the pipeline 'a' (FunctionNode) | "
        f"'b' (FunctionNode), not to the pipeline {found}; use another file"
    )


async def test_rule_r62_other_inputs_are_an_error_that_names_both(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    await make_processor(path, Work()).batch([1, 2, 3])
    letters = tmp_path / "letters"
    with pytest.raises(CheckpointError, match=r"item 1 was 2 .*, but is now 5 ") as refused:
        await make_processor(path, Work(), failed_to=letters).batch([1, 5, 3])
    assert refused.value.unrecorded == []
    assert not letters.exists() or letters.read_text() == ""


@pytest.mark.parametrize("each", [False, True])
async def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path, each: bool) -> None:
    path = tmp_path / "run.sqlite"
    pipeline = Work().pipeline()
    await BatchProcessor(pipeline, checkpoint=path, checkpoint_each=each).batch([1])
    kinds = ["a batch", "a batch with checkpoint_each=True"]
    with pytest.raises(CheckpointError) as refused:
        await BatchProcessor(pipeline, checkpoint=path, checkpoint_each=not each).batch([1])
    assert f"is that of {kinds[each]}, not of {kinds[not each]}" in str(refused.value)


async def test_rule_r64_an_output_that_cannot_be_recorded_fails_its_input(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    made = object()
    pipeline = FunctionNode(lambda value: made if value else 0, "make") | FunctionNode(str, "name")
    processor = BatchProcessor(pipeline, checkpoint=path, checkpoint_each=True)
    first, second = await processor.batch([0, 1])
    assert (first.output, second.success, second.output) == ("0", False, made)
    assert (second.error or "").startswith("stage 'make': the output cannot be recorded: TypeError")
    assert isinstance(second.exception, TypeError)


async def test_a_codec_stores_what_json_cannot(tmp_path: Path) -> None:
    import pickle

    class Pickle:
        encode = staticmethod(pickle.dumps)
        decode = staticmethod(pickle.loads)

    path = tmp_path / "run.sqlite"
    pipeline = FunctionNode(lambda value: {value}, "make") | FunctionNode(sorted, "sort")
    for _ in range(2):
        processor = BatchProcessor(pipeline, checkpoint=path, checkpoint_each=True, codec=Pickle())
        results = await processor.batch([1, 2])
        assert get_outputs(results) == [[1], [2]]
    assert results[1].metadata == {"resumed": True}


async def test_what_failed_is_tried_again_from_the_node_that_failed(tmp_path: Path) -> None:
    work = Work(name=[3, 20])
    processor = make_processor(tmp_path / "run.sqlite", work)
    results = await processor.batch(NUMBERS)
    work.failing.clear()
    results = await processor.retry_failed(results, attempts=1, wait=lambda attempt: 0.0)
    assert get_outputs(results) == SQUARES
    assert (work.of("fetch"), work.executed["name", 3]) == (list(NUMBERS), 2)


async def test_rule_r54_results_from_the_checkpoint_do_not_count_for_a_limit(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.sqlite"
    limited: dict[str, Any] = {"max_usage": {"tokens": 110}, "max_concurrency": 1}
    results = await make_processor(path, Work(), **limited).batch(NUMBERS)
    assert (len(results), results.not_started) == (10, 30)
    results = await make_processor(path, Work(), **limited).batch(NUMBERS)
    assert results.stopped is not None
    assert (len(results), results.not_started, results.stopped.finished) == (20, 20, 10)


async def test_rule_r50_what_is_in_work_goes_through_all_nodes_when_the_run_is_drained(
    tmp_path: Path,
) -> None:
    work, valve = Work(), Valve()

    class Draining(Work):
        async def square(self, data: dict[str, int]) -> NodeResult:
            if data["n"] == 9:
                valve.drain()
            return await super().square(data)

    work = Draining()
    processor = make_processor(tmp_path / "run.sqlite", work, valve=valve, max_concurrency=4)
    results: BatchResults[Any, Any] = await processor.batch(NUMBERS)
    assert work.of("fetch") == work.of("square") == work.of("name")
    assert [result.index for result in results] == work.of("name")


async def test_with_continue_on_error_false_what_was_made_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    first, second = Work(name=[15]), Work()
    with pytest.raises(NodeError, match="stage 'name': ValueError: not 15"):
        await make_processor(path, first, continue_on_error=False, max_concurrency=1).batch(NUMBERS)
    await make_processor(path, second).batch(NUMBERS)
    assert first.of("fetch") == list(range(16))
    assert second.of("fetch") == second.of("square") == list(range(16, 40))
    assert second.of("name") == list(range(15, 40))


async def test_list_stages_are_nodes_of_a_pipeline_as_others(tmp_path: Path) -> None:
    executed = []

    def double(number: int) -> int:
        executed.append(number)
        return 2 * number

    stage = MapNode("double", double, output_key="items")
    for failing in (True, False):

        def add(data: dict[str, list[int]], failing: bool = failing) -> int:
            if failing:
                raise ValueError
            return sum(data["items"])

        processor = BatchProcessor(
            stage | FunctionNode(add, "add"), checkpoint=tmp_path / "run", checkpoint_each=True
        )
        results = await processor.batch([{"items": [1, 2]}])
    assert (get_outputs(results), executed) == ([6], [1, 2])


class Overriding(BatchProcessor[Any, Any]):
    async def process_single(self, *arguments: Any) -> Any:
        return await super().process_single(*arguments)


@pytest.mark.parametrize(
    ("make", "error", "complaint"),
    [
        (
            lambda node: BatchProcessor(node, checkpoint_each=True),
            ValueError,
            "checkpoint_each says what a checkpoint records; pass checkpoint= too",
        ),
        (
            lambda node: BatchProcessor(node, checkpoint=InMemory(), checkpoint_each=True),
            TypeError,
            "checkpoint must be the path of a file with checkpoint_each=True, got ",
        ),
        (
            lambda node: BatchProcessor(node.pipe(retry()), checkpoint="a", checkpoint_each=True),
            TypeError,
            "checkpoint_each needs a Pipeline, whose nodes it records, got RetryNode(Pipeline(",
        ),
        (
            lambda node: BatchProcessor(str.upper, checkpoint="a", checkpoint_each=True),
            TypeError,
            "checkpoint_each needs a Pipeline, whose nodes it records, got FunctionNode('upper')",
        ),
        (
            lambda node: Overriding(node, checkpoint="a", checkpoint_each=True),
            TypeError,
            "checkpoint_each records the nodes of a Pipeline, and process_single is overridden",
        ),
        (
            lambda node: BatchProcessor(node, checkpoint="a", checkpoint_each=1),  # type: ignore[arg-type]
            TypeError,
            "checkpoint_each must be",
        ),
    ],
    ids=["no file", "a store", "a policy", "a function", "an override", "a number"],
)
def test_what_cannot_be_recorded_is_refused_at_once(
    make: Any, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error) as refused:
        make(Work().pipeline())
    assert str(refused.value).startswith(complaint)


def test_a_pipeline_that_overrides_execute_is_refused() -> None:
    class Own(Pipeline):
        async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
            return NodeResult(True, 1)

    with pytest.raises(TypeError, match="checkpoint_each needs a Pipeline"):
        BatchProcessor(Own(str.upper, str.lower), checkpoint="a", checkpoint_each=True)
