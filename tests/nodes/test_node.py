"""What a node is, and how nodes are joined and wrapped."""

from __future__ import annotations

import asyncio
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FunctionNode,
    NodeContext,
    NodeError,
    NodeResult,
    Pipeline,
    WorkflowContext,
)
from nadoo_flow.nodes.node import as_node

from ..stand_ins import Listener, Probe, ScriptedNode, answer, double, now, raised_by


class _Echo(BaseNode):
    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        return NodeResult(success=True, output=node_context.input_data)


class _Labelled(BaseNode):
    """A wrapper, as a policy makes one, that adds its label to the output."""

    def __init__(self, inner: BaseNode, label: str) -> None:
        super().__init__(f"{label}({inner.node_id})")
        self.inner = inner
        self.label = label

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        result = await self.inner.execute(node_context, workflow_context)
        return NodeResult(success=True, output=f"{result.output}{self.label}")


def _increment(value: Any) -> Any:
    return value + 1


class TestBaseNode:
    def test_is_named_after_its_class(self) -> None:
        node = _Echo()
        assert (node.node_id, node.node_type, node.name, node.config) == (
            "_Echo",
            "_Echo",
            "_Echo",
            {},
        )
        assert repr(node) == "_Echo('_Echo')"

    def test_takes_an_id_alone(self) -> None:
        node = _Echo("echo")
        assert (node.node_id, node.node_type, node.name) == ("echo", "_Echo", "echo")
        assert repr(node) == "_Echo('echo')"

    def test_keeps_all_that_it_is_given(self) -> None:
        config = {"temperature": 0}
        node = _Echo("echo", node_type="llm", name="The Echo", config=config)
        assert (node.node_id, node.node_type, node.name) == ("echo", "llm", "The Echo")
        assert node.config is config

    def test_does_not_share_a_default_config(self) -> None:
        _Echo().config["a"] = 1
        assert _Echo().config == {}

    @pytest.mark.parametrize("make", [BaseNode, partial(FunctionNode, len)])
    def test_needs_a_real_id(self, make: Any) -> None:
        with pytest.raises(ValueError, match=r"^node_id must not be empty$"):
            make("")
        with pytest.raises(TypeError, match=r"^node_id must be a str, got 0 \(int\)$"):
            make(0)

    async def test_without_execute_fails_and_says_what_is_missing(self) -> None:
        with pytest.raises(NotImplementedError, match=r"^BaseNode must define execute"):
            await answer(BaseNode("bare"), {})


class TestRun:
    @pytest.mark.parametrize("data", [{"prompt": "x"}, MappingProxyType({"a": 1}), {}])
    async def test_gives_the_node_a_mapping_as_it_is(self, data: Any) -> None:
        assert await _Echo().run(data) is data

    @pytest.mark.parametrize("value", ["text", 5, None, [1, 2]])
    async def test_gives_the_node_any_other_value_in_an_envelope(self, value: Any) -> None:
        assert await _Echo().run(value) == {"item": value}

    async def test_hands_the_workflow_context_over(self) -> None:
        context, listener = WorkflowContext({"a": 1}), Listener()
        await listener.run({}, context)
        await listener.run({})
        await listener.run({}, workflow_context=None)
        first, second, third = listener.shared
        assert first is context
        assert second.variables == {}
        assert second is not third

    async def test_raises_an_error_that_names_the_node_and_holds_the_cause(self) -> None:
        cause = ValueError("bad input")

        async def script(_: Any) -> NodeResult:
            raise cause

        with pytest.raises(NodeError) as caught:
            await ScriptedNode(script, "translate").run(1)
        assert str(caught.value) == "node 'translate' failed: ValueError: bad input"
        assert (caught.value.node_id, caught.value.index) == ("translate", None)
        assert caught.value.__cause__ is cause

    async def test_raises_the_error_of_a_failed_result(self) -> None:
        async def script(_: Any) -> NodeResult:
            return NodeResult(success=False, error="no luck")

        with pytest.raises(NodeError, match=r"^node 'scripted' failed: no luck$") as caught:
            await ScriptedNode(script).run(1)
        assert caught.value.__cause__ is None


class TestPipe:
    async def test_without_policies_is_the_node_itself(self) -> None:
        node = _Echo()
        assert node.pipe() is node

    async def test_applies_the_left_policy_first(self) -> None:
        node = FunctionNode(str, "text").pipe(
            lambda inner: _Labelled(inner, "a"), lambda inner: _Labelled(inner, "b")
        )
        assert node.node_id == "b(a(text))"
        assert await node.run("x") == "xab"

    async def test_gives_a_node_that_goes_wherever_nodes_go(self) -> None:
        def labelled(inner: BaseNode) -> BaseNode:
            return _Labelled(inner, "!")

        node = FunctionNode(str, "text").pipe(labelled)
        assert await (node | str.upper).run("x") == "X!"
        assert [result.output for result in await BatchProcessor(node).batch(["ab"])] == ["ab!"]

    @pytest.mark.parametrize("made", [None, len, _Echo])
    def test_needs_policies_that_return_nodes(self, made: Any) -> None:
        with pytest.raises(TypeError, match=r"^the policy <function .* must return a node, got "):
            _Echo().pipe(lambda _: made)

    def test_takes_functions_without_a_module(self) -> None:
        namespace: dict[str, Any] = {}
        exec("def policy(node): return node", namespace)
        node = _Echo()
        assert node.pipe(namespace["policy"]) is node

    def test_needs_policies_that_can_be_called(self) -> None:
        with pytest.raises(TypeError, match=r"^policy must be a function, got 3 \(int\)$"):
            _Echo().pipe(3)  # type: ignore[arg-type]


class TestFunctionNode:
    @pytest.mark.parametrize(
        ("data", "given"),
        [
            ({"item": "x"}, "x"),
            ({"item": {"item": 1}}, {"item": 1}),
            ({"item": "x", "more": 1}, {"item": "x", "more": 1}),
            ({"prompt": "x"}, {"prompt": "x"}),
            ({}, {}),
        ],
    )
    async def test_gives_its_function_the_mapping_or_the_bare_value(
        self, data: Any, given: Any
    ) -> None:
        seen: list[Any] = []
        await answer(FunctionNode(seen.append, "seen"), data)
        assert seen == [given]

    @pytest.mark.parametrize("output", [None, 5, {"a": 1}, {"item": 1}, [1]])
    async def test_takes_what_the_function_returns_as_the_output(self, output: Any) -> None:
        async def asynchronous(_: Any) -> Any:
            await asyncio.sleep(1)
            return output

        for fn in (lambda _: output, asynchronous):
            assert await answer(FunctionNode(fn, "fn"), {}) == NodeResult(True, output)

    async def test_awaits_whatever_awaitable_the_function_returns(self) -> None:
        def later(value: int) -> asyncio.Future[int]:
            return asyncio.ensure_future(asyncio.sleep(3, value * 2))

        assert await FunctionNode(later).run(2) == 4
        assert now() == 3

    async def test_takes_a_node_result_as_the_whole_answer(self) -> None:
        result = NodeResult(success=False, error="no luck", metadata={"tries": 3})
        assert await answer(FunctionNode(lambda _: result, "fn"), {}) is result

    @pytest.mark.parametrize(
        ("fn", "node_id"),
        [
            (double, "double"),
            (str.upper, "upper"),
            (len, "len"),
            (lambda value: value, "<lambda>"),
            (partial(double), "partial"),
            (Probe(), "Probe"),
        ],
    )
    def test_is_named_after_its_function(self, fn: Any, node_id: str) -> None:
        assert FunctionNode(fn).node_id == node_id
        assert FunctionNode(fn, "mine").node_id == "mine"

    def test_needs_a_function(self) -> None:
        with pytest.raises(TypeError, match=r"^fn must be a function, got 'upper' \(str\)$"):
            FunctionNode("upper")  # type: ignore[call-overload]


class TestPipeline:
    async def test_feeds_each_output_to_the_next_node(self) -> None:
        pipeline = FunctionNode(_increment, "a") | FunctionNode(double, "b")
        assert isinstance(pipeline, Pipeline)
        assert await pipeline.run(1) == 4

    async def test_takes_functions_on_either_side(self) -> None:
        node = FunctionNode(_increment, "node")
        assert await (node | double).run(1) == 4
        assert await (double | node).run(1) == 3

    async def test_hands_mappings_on_as_they_are_and_other_values_in_an_envelope(self) -> None:
        data = {"a": 1}
        assert await Pipeline(lambda _: data, _Echo()).run(0) is data
        assert await Pipeline(lambda _: [1], _Echo()).run(0) == {"item": [1]}

    async def test_is_flat_and_named_after_its_nodes(self) -> None:
        a, b, c, d = (FunctionNode(double, name) for name in "abcd")
        for pipeline in ((a | b) | (c | d), a | (b | (c | d)), Pipeline(a, b, c | d)):
            assert isinstance(pipeline, Pipeline)
            assert pipeline.nodes == (a, b, c, d)
            assert pipeline.node_id == "a | b | c | d"
            assert await pipeline.run(1) == 16

    async def test_leaves_its_parts_as_they_were(self) -> None:
        a, b, c = (FunctionNode(double, name) for name in "abc")
        first = a | b
        longer = first | c
        assert await first.run(1) == 4
        assert await longer.run(1) == 8

    async def test_of_one_node_is_that_node_in_another_name(self) -> None:
        assert await Pipeline(double, node_id="twice").run(2) == 4
        assert Pipeline(double, node_id="twice").node_id == "twice"

    async def test_gives_the_last_nodes_whole_result(self) -> None:
        result = NodeResult(success=True, output=5, metadata={"model": "m"})
        assert await answer(Pipeline(double, lambda _: result), {"item": 1}) is result

    async def test_shares_the_workflow_context(self) -> None:
        class Note(BaseNode):
            async def execute(
                self, node_context: NodeContext, workflow_context: WorkflowContext
            ) -> NodeResult:
                workflow_context.variables[self.node_id] = node_context.input_data
                return NodeResult(success=True, output=self.node_id)

        context = WorkflowContext()
        await (Note("a") | Note("b")).run("x", context)
        assert context.variables == {"a": {"item": "x"}, "b": {"item": "a"}}

    async def test_ends_with_the_first_failure_which_names_its_stage(self) -> None:
        cause = ValueError("bad input")
        later: list[Any] = []

        async def script(_: Any) -> NodeResult:
            raise cause

        pipeline = FunctionNode(double, "a") | ScriptedNode(script, "b") | later.append
        result = await answer(pipeline, {"item": 1})
        assert result == NodeResult(success=False, error="stage 'b': ValueError: bad input")
        assert result.exception is cause
        assert later == []
        with pytest.raises(
            NodeError, match=r"^node 'a \| b \| append' failed: stage 'b': ValueError: bad input$"
        ) as caught:
            await pipeline.run(1)
        assert caught.value.__cause__ is cause

    async def test_keeps_the_metadata_of_the_failure(self) -> None:
        def fail(_: Any) -> NodeResult:
            return NodeResult(success=False, error="no luck", metadata={"tries": 3})

        result = await answer(Pipeline(double, fail), {"item": 1})
        assert result == NodeResult(False, None, "stage 'fail': no luck", {"tries": 3})

    async def test_asks_for_a_task_an_item_if_one_of_its_nodes_does(self) -> None:
        seen: set[asyncio.Task[Any] | None] = set()

        async def current(value: Any) -> Any:
            seen.add(asyncio.current_task())
            return value

        isolated = FunctionNode(current, "isolated")
        isolated.isolate = "task"
        await BatchProcessor(double | isolated, 1).batch([1, 2, 3])
        assert len(seen) == 3

    def test_needs_a_node(self) -> None:
        with pytest.raises(ValueError, match=r"^a Pipeline needs at least one node$"):
            Pipeline()

    def test_needs_a_real_id(self) -> None:
        with pytest.raises(ValueError, match=r"^node_id must not be empty$"):
            Pipeline(double, node_id="")

    @pytest.mark.parametrize("other", [5, "upper", None, {}, _Echo])
    def test_is_not_made_of_what_is_no_node(self, other: Any) -> None:
        for join in (lambda: _Echo() | other, lambda: other | _Echo()):
            with pytest.raises(TypeError):
                join()
        with pytest.raises(TypeError, match=r"^node must be a node or a function, got "):
            Pipeline(_Echo(), other)


class TestAsNode:
    def test_leaves_a_node_as_it_is(self) -> None:
        node = _Echo()
        assert as_node(node, "child") is node

    def test_makes_a_function_a_node(self) -> None:
        node = as_node(double, "child")
        assert isinstance(node, FunctionNode)
        assert node.fn is double

    def test_names_what_is_neither(self) -> None:
        with pytest.raises(TypeError) as caught:
            as_node(5, "child")
        assert str(caught.value) == "child must be a node or a function, got 5 (int)"

    def test_tells_how_to_use_a_class(self) -> None:
        with pytest.raises(TypeError, match=r"; make an instance of it first$"):
            as_node(_Echo, "child")


async def test_a_cancelled_pipeline_starts_nothing_more() -> None:
    first, second = Probe(), Probe()
    task = asyncio.create_task(Pipeline(first, second).run(10))
    await asyncio.sleep(1)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    first.assert_cleaned()
    assert second.started == []
