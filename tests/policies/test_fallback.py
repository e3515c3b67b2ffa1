"""fallback: the next node answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nadoo_flow import BaseNode, BatchProcessor, FunctionNode, NodeContext, NodeResult
from nadoo_flow import WorkflowContext as Shared
from nadoo_flow.policies import fallback, retry, timeout

from ..stand_ins import Listener, ScriptedNode, assert_only_the_caller_runs, now, raised_by
from .services import outcome


class Model(BaseNode):
    """Takes a second, then answers or fails, and tells in what order the models were asked."""

    def __init__(self, node_id: str, asked: list[str], error: Exception | str | None = None):
        super().__init__(node_id)
        self.asked = asked
        self.error = error

    async def execute(self, node_context: NodeContext, workflow_context: Shared) -> NodeResult:
        self.asked.append(self.node_id)
        await asyncio.sleep(1)
        if isinstance(self.error, Exception):
            raise self.error
        if self.error is not None:
            return NodeResult(False, error=self.error, metadata={"of": self.node_id})
        return NodeResult(True, f"by {self.node_id}", metadata={"of": self.node_id})


class TestWhoAnswers:
    @pytest.mark.parametrize("error", [ValueError("down"), "down"])
    @pytest.mark.parametrize("working", range(4))
    async def test_is_the_first_that_succeeds(self, working: int, error: Any) -> None:
        asked: list[str] = []
        models = [Model(f"m{n}", asked, error if n < working else None) for n in range(4)]
        result = await outcome(models[0].pipe(fallback(*models[1:])), {"prompt": "x"})
        assert asked == ["m0", "m1", "m2", "m3"][: working + 1]
        assert result.output == f"by m{working}"
        assert now() == working + 1
        told = {"fallback": f"m{working}"} if working else {}
        assert result.metadata == {"of": f"m{working}", **told}
        assert result.error is None

    async def test_may_be_a_function(self) -> None:
        node = Model("first", [], "down").pipe(fallback(len))
        result = await outcome(node, {"a": 1, "b": 2})
        assert (result.output, result.metadata) == (2, {"fallback": "len"})

    async def test_may_be_a_node_with_policies_of_its_own(self) -> None:
        asked: list[str] = []
        second = Model("second", asked, "down").pipe(retry(2, wait=10))
        node = Model("first", asked, "down").pipe(fallback(second, Model("third", asked)))
        result = await outcome(node, {})
        assert asked == ["first", "second", "second", "third"]
        assert (result.metadata["fallback"], now()) == ("third", 14)

    async def test_is_told_for_each_item_by_itself(self) -> None:
        node = FunctionNode(lambda n: 10 // n, "div").pipe(fallback(FunctionNode(str, "text")))
        results = await BatchProcessor(node).batch([5, 0, 2])
        assert [(result.output, result.metadata) for result in results] == [
            (2, {}),
            ("0", {"fallback": "text"}),
            (5, {}),
        ]

    async def test_is_asked_with_the_same_input_in_a_context_of_its_own(self) -> None:
        def spoil(node_context: NodeContext) -> None:
            node_context.input_data = None

        class Spoiling(BaseNode):
            async def execute(self, node_context: NodeContext, _: Shared) -> NodeResult:
                spoil(node_context)
                return NodeResult(False, error="no")

        listener = Listener()
        data, shared = {"prompt": "x"}, Shared()
        given = NodeContext(data)
        await Spoiling().pipe(fallback(Spoiling(), listener)).execute(given, shared)
        assert listener.inputs[0] is data
        assert listener.shared == [shared]
        assert listener.contexts[0][0] is not given

    async def test_leaves_a_result_alone_that_it_hands_out_many_times(self) -> None:
        async def script(_: Any) -> NodeResult:
            return cached

        cached = NodeResult(True, "cached")
        node = Model("first", [], "down").pipe(fallback(ScriptedNode(script, "cache")))
        result = await outcome(node, {"item": 0})
        assert result.metadata == {"fallback": "cache"}
        assert cached.metadata == {}


class TestIfAllFail:
    async def test_the_error_tells_of_each_in_order(self) -> None:
        error = LookupError("c is down")
        models = [Model("a", [], ValueError("a is down")), Model("b", [], "b is down")]
        node = models[0].pipe(fallback(models[1], Model("c", [], error)))
        result = await outcome(node, {})
        assert (result.success, result.output) == (False, None)
        assert result.error == (
            "node 'a': ValueError: a is down; node 'b': b is down; node 'c': LookupError: c is down"
        )
        assert result.exception is error

    async def test_the_metadata_is_that_of_the_last(self) -> None:
        node = Model("a", [], "down").pipe(fallback(Model("b", [], "down")))
        result = await outcome(node, {})
        assert result.metadata == {"of": "b"}


class TestEnding:
    async def test_a_cancel_asks_nobody_else(self) -> None:
        asked: list[str] = []
        node = Model("a", asked, "down").pipe(
            fallback(Model("b", asked, "down"), Model("c", asked))
        )
        task = asyncio.create_task(BatchProcessor(node).batch([{}]))
        await asyncio.sleep(1.5)
        task.cancel()
        assert isinstance(await raised_by(task), asyncio.CancelledError)
        assert (asked, now()) == (["a", "b"], 1.5)
        assert_only_the_caller_runs()

    async def test_a_timeout_inside_asks_the_next(self) -> None:
        asked: list[str] = []
        node = Model("a", asked).pipe(timeout(0.5), fallback(Model("b", asked)))
        result = await outcome(node, {})
        assert (result.output, now()) == ("by b", 1.5)

    async def test_a_timeout_outside_asks_nobody(self) -> None:
        asked: list[str] = []
        node = Model("a", asked).pipe(fallback(Model("b", asked)), timeout(0.5))
        result = await outcome(node, {})
        assert (asked, now()) == (["a"], 0.5)
        assert result.error == "TimeoutError: not finished within 0.5 s"
