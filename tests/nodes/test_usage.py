"""What answers used is counted once, whatever led to them."""

from __future__ import annotations

import asyncio
import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeResult,
    ParallelNode,
)
from nadoo_flow._support.usage import read_numbers
from nadoo_flow.nodes.parallel import ParallelStrategy
from nadoo_flow.nodes.usage import add_usage, mark_as_saved
from nadoo_flow.policies import fallback, retry

from ..policies.services import outcome


def used(**numbers: Any) -> NodeResult:
    return NodeResult(True, "answer", metadata={"usage": numbers})


class Model:
    """Fails so many times, and says each time what that used."""

    def __init__(self, failures: int = 0, **usage: float) -> None:
        self.failures = failures
        self.usage = usage

    async def __call__(self, prompt: Any) -> NodeResult:
        await asyncio.sleep(1)
        self.failures -= 1
        error = None if self.failures < 0 else "busy"
        return NodeResult(error is None, prompt, error, {"usage": self.usage})


def refuse(prompt: Any) -> Any:
    raise ValueError(prompt)


def model(failures: int = 0, name: str = "model", **usage: float) -> BaseNode:
    return FunctionNode(Model(failures, **usage), name)


class TestAddUsage:
    def test_sums_the_numbers_by_name(self) -> None:
        result = add_usage(used(tokens=5, usd=0.5), [used(tokens=1), used(calls=1)])
        assert result.metadata == {"usage": {"tokens": 6, "usd": 0.5, "calls": 1}}

    def test_a_number_beyond_all_floats_does_not_count(self) -> None:
        result = add_usage(used(tokens=5, huge=10**400), [used(tokens=1)])
        assert result.metadata["usage"]["tokens"] == 6
        assert read_numbers({"tokens": 6, "huge": 10**400}) == {"tokens": 6}

    def test_leaves_an_answer_alone_if_the_others_used_nothing(self) -> None:
        result = used(tokens=5)
        assert add_usage(result, [NodeResult(False, error="no")]) is result

    @pytest.mark.parametrize(
        "odd", [None, "5", True, float("nan"), float("inf"), {"cached": 3}], ids=repr
    )
    def test_keeps_but_does_not_count_what_is_no_number(self, odd: Any) -> None:
        result = add_usage(used(tokens=5, odd=odd), [used(tokens=1, odd=odd)])
        assert result.metadata == {"usage": {"tokens": 6, "odd": odd}}

    @pytest.mark.parametrize("odd", [None, 5, ["tokens"], "tokens"], ids=repr)
    def test_does_not_count_usage_that_is_no_dict(self, odd: Any) -> None:
        result = NodeResult(True, metadata={"usage": odd})
        assert add_usage(result, [result]).metadata == {"usage": odd}

    def test_changes_no_answer(self) -> None:
        first, second = used(tokens=1), used(tokens=2)
        add_usage(first, [second])
        assert (first, second) == (used(tokens=1), used(tokens=2))


def test_what_is_given_again_counts_as_saved() -> None:
    before = {"usage": {"tokens": 5}, "saved": {"tokens": 2}, "model": "m"}
    assert mark_as_saved(before) == {"model": "m", "saved": {"tokens": 7}}
    assert mark_as_saved({"model": "m"}) == {"model": "m"}


class TestCounting:
    @pytest.mark.parametrize("failures", range(4))
    async def test_retry_counts_each_try(self, failures: int) -> None:
        result = await outcome(model(failures, tokens=10).pipe(retry(attempts=3, wait=1)), "x")
        assert result.success == (failures < 3)
        assert result.metadata["usage"] == {"tokens": 10 * min(failures + 1, 3)}

    @pytest.mark.parametrize("failing", range(4))
    async def test_fallback_counts_each_node(self, failing: int) -> None:
        models = [model(failures=n < failing, name=f"m{n}", tokens=10**n) for n in range(3)]
        result = await outcome(models[0].pipe(fallback(*models[1:])), "x")
        assert result.success == (failing < 3)
        assert result.metadata["usage"] == {"tokens": [1, 11, 111, 111][failing]}

    async def test_a_pipeline_counts_each_stage(self) -> None:
        chain = model(tokens=1) | model(name="second", tokens=10) | str.upper
        result = await outcome(chain, "x")
        assert (result.output, result.metadata) == ("X", {"usage": {"tokens": 11}})

    async def test_a_pipeline_counts_its_last_stage_once(self) -> None:
        result = await outcome(str.upper | model(tokens=1) | model(name="b", tokens=10), "x")
        assert result.metadata == {"usage": {"tokens": 11}}

    @pytest.mark.parametrize("fail", ["answer", "raise"])
    async def test_a_pipeline_that_fails_counts_what_it_used(self, fail: str) -> None:
        second = model(failures=1, name="second", tokens=10) if fail == "answer" else refuse
        result = await outcome(model(tokens=1) | second, "x")
        assert not result.success
        assert result.metadata == {"usage": {"tokens": 11 if fail == "answer" else 1}}

    @pytest.mark.parametrize("strategy", ParallelStrategy)
    async def test_a_parallel_node_counts_all_that_settled(
        self, strategy: ParallelStrategy
    ) -> None:
        nodes = [model(tokens=1, name="a"), model(tokens=10, name="b")]
        result = await outcome(ParallelNode(nodes, strategy), "x")
        first_only = strategy in (ParallelStrategy.RACE, ParallelStrategy.ANY)
        assert result.metadata["usage"] == {"tokens": 1 if first_only else 11}

    @pytest.mark.parametrize("kind", [MapNode, FlatMapNode])
    async def test_a_list_stage_counts_each_item(self, kind: type[MapNode]) -> None:
        stage = kind("stage", model(failures=1, tokens=3), continue_on_error=True)
        result = await outcome(stage, {"items": ["a", "b", "c"]})
        assert result.metadata["usage"] == {"tokens": 9}

    async def test_a_list_stage_that_fails_counts_what_it_used(self) -> None:
        stage = MapNode("stage", model(failures=1, tokens=3), max_concurrency=1)
        result = await outcome(stage, {"items": ["a", "b"]})
        assert result.metadata == {"usage": {"tokens": 3}}


class TestABatch:
    async def test_sums_what_its_items_used_whether_or_not_they_failed(self) -> None:
        results = await BatchProcessor(model(2, tokens=5, usd=0.25)).batch(["a", "b", "c"])
        assert len(results.failed) == 2
        assert results.usage == {"tokens": 15, "usd": 0.75}
        assert results.saved == {}
        assert results.summary().usage == results.usage
        assert "usage: 15 tokens, 0.75 usd" in str(results.summary()).splitlines()
        assert "usage 15 tokens, 0.75 usd" in results._repr_html_()

    async def test_says_nothing_of_usage_where_nodes_do_not(self) -> None:
        results = await BatchProcessor(str.upper).batch(["a"])
        assert results.usage == {}
        assert "usage" not in str(results.summary()) + results._repr_html_()

    async def test_counts_what_is_resumed_as_saved(self, tmp_path: Path) -> None:
        processor = BatchProcessor(model(tokens=5), checkpoint=tmp_path / "run")
        first = await processor.batch(["a", "b"])
        assert (first.usage, first.saved) == ({"tokens": 10}, {})
        second = await processor.batch(["a", "b", "c"])
        assert (second.usage, second.saved) == ({"tokens": 5}, {"tokens": 10})
        assert "usage: 5 tokens; saved 10 tokens" in str(second.summary())


class TestEvents:
    async def test_the_end_of_an_item_says_what_it_used(self) -> None:
        processor, seen = BatchProcessor(model(1, tokens=5), 1), []
        processor.events.subscribe(seen.append)
        await processor.batch(["a", "b"])
        assert [(event.kind, event.usage) for event in seen] == [
            ("started", None),
            ("failed", {"tokens": 5}),
            ("started", None),
            ("finished", {"tokens": 5}),
        ]

    async def test_so_does_that_of_an_item_of_a_list_stage(self) -> None:
        stage, seen = MapNode("stage", model(1, tokens=5), continue_on_error=True), []
        stage.events.subscribe(seen.append)
        await stage.run({"items": ["a", "b"]})
        ends = [(event.kind, event.usage) for event in seen if event.kind != "started"]
        assert ends == [("failed", {"tokens": 5}), ("finished", {"tokens": 5})]

    async def test_the_bar_shows_the_sums(self) -> None:
        with redirect_stderr(io.StringIO()) as terminal:
            processor = BatchProcessor(model(1, tokens=1_200), progress="always")
            await processor.batch(["a", "b"])
        assert "failed=1, tokens=2,400" in terminal.getvalue()
