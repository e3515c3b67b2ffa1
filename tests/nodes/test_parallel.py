"""Several nodes on the same input at the same time."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeError,
    NodeResult,
    ParallelNode,
    ParallelStrategy,
    WorkflowContext,
)

from ..stand_ins import (
    CLEAN_UP,
    Listener,
    ScriptedNode,
    answer,
    assert_only_the_caller_runs,
    log_of_the_loop,
    now,
    raised_by,
)

ALL, ALL_SETTLED, RACE, ANY = (
    ParallelStrategy.ALL,
    ParallelStrategy.ALL_SETTLED,
    ParallelStrategy.RACE,
    ParallelStrategy.ANY,
)
every_strategy = pytest.mark.parametrize("strategy", list(ParallelStrategy))


class _Timed(BaseNode):
    """Succeeds with its id, or fails, after so many seconds; a cancelled one takes its time."""

    def __init__(self, node_id: str, seconds: float, error: str | None = None) -> None:
        super().__init__(node_id)
        self.seconds = seconds
        self.error = error
        self.cancelled_at: float | None = None
        self.cleaned_at: float | None = None

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled_at = now()
            await asyncio.sleep(CLEAN_UP)
            self.cleaned_at = now()
            raise
        if self.error is not None:
            raise ValueError(self.error)
        return NodeResult(success=True, output=f"{self.node_id}!")


def _settled(result: NodeResult, at: float) -> NodeResult:
    """Check what holds whenever a ParallelNode is done: the time, and that nothing is left."""
    assert now() == at
    assert_only_the_caller_runs()
    return result


def _assert_cancelled(node: _Timed, at: float) -> None:
    assert (node.cancelled_at, node.cleaned_at) == (at, at + CLEAN_UP)


class TestAll:
    async def test_gives_every_output_by_id_in_the_order_of_the_nodes(self) -> None:
        node = ParallelNode([_Timed("a", 3), _Timed("b", 1), _Timed("c", 2)])
        result = _settled(await answer(node, {}), at=3)
        assert result == NodeResult(
            success=True, output={"a": "a!", "b": "b!", "c": "c!"}, metadata={"errors": {}}
        )
        assert list(result.output) == ["a", "b", "c"]

    async def test_the_first_failure_cancels_and_awaits_the_others(self) -> None:
        slow = _Timed("slow", 10)
        node = ParallelNode([slow, _Timed("bad", 2, "no luck"), _Timed("quick", 1)], ALL)
        result = _settled(await answer(node, {}), at=2 + CLEAN_UP)
        error = "ValueError: no luck"
        assert result == NodeResult(
            success=False, error=f"node 'bad': {error}", metadata={"errors": {"bad": error}}
        )
        assert isinstance(result.exception, ValueError)
        _assert_cancelled(slow, at=2)


class TestAllSettled:
    async def test_gives_the_successes_and_the_errors_by_id(self) -> None:
        node = ParallelNode(
            [_Timed("a", 3), _Timed("bad", 1, "no luck"), _Timed("c", 2)], ALL_SETTLED
        )
        result = _settled(await answer(node, {}), at=3)
        assert result == NodeResult(
            success=True,
            output={"a": "a!", "c": "c!"},
            metadata={"errors": {"bad": "ValueError: no luck"}},
        )

    async def test_fails_only_if_all_failed(self) -> None:
        node = ParallelNode([_Timed("a", 1, "one"), _Timed("b", 2, "two")], ALL_SETTLED)
        result = _settled(await answer(node, {}), at=2)
        assert result == NodeResult(
            success=False,
            error="node 'a': ValueError: one; node 'b': ValueError: two",
            metadata={"errors": {"a": "ValueError: one", "b": "ValueError: two"}},
        )
        assert str(result.exception) == "one"


class TestRace:
    async def test_gives_the_output_of_the_first_and_cancels_the_others(self) -> None:
        losers = [_Timed("slow", 10), _Timed("slower", 20)]
        result = _settled(
            await answer(ParallelNode([*losers, _Timed("quick", 1)], RACE), {}), at=1 + CLEAN_UP
        )
        assert result == NodeResult(
            success=True, output="quick!", metadata={"winner": "quick", "errors": {}}
        )
        for loser in losers:
            _assert_cancelled(loser, at=1)

    async def test_the_first_decides_also_by_failing(self) -> None:
        loser = _Timed("slow", 10)
        node = ParallelNode([loser, _Timed("bad", 1, "no luck")], RACE)
        result = _settled(await answer(node, {}), at=1 + CLEAN_UP)
        error = "ValueError: no luck"
        assert result == NodeResult(
            success=False,
            error=f"node 'bad': {error}",
            metadata={"winner": "bad", "errors": {"bad": error}},
        )
        _assert_cancelled(loser, at=1)

    async def test_of_two_at_the_same_time_the_first_in_the_list_wins(self) -> None:
        for order in itertools.permutations("abc"):
            node = ParallelNode([_Timed(name, 1) for name in order], RACE)
            assert (await answer(node, {})).metadata["winner"] == order[0]


class TestAny:
    async def test_gives_the_first_success_and_cancels_the_others(self) -> None:
        loser = _Timed("slow", 10)
        node = ParallelNode([loser, _Timed("bad", 1, "no luck"), _Timed("good", 2)], ANY)
        result = _settled(await answer(node, {}), at=2 + CLEAN_UP)
        assert result == NodeResult(
            success=True,
            output="good!",
            metadata={"winner": "good", "errors": {"bad": "ValueError: no luck"}},
        )
        _assert_cancelled(loser, at=2)

    async def test_fails_only_if_all_failed(self) -> None:
        node = ParallelNode([_Timed("a", 2, "one"), _Timed("b", 1, "two")], ANY)
        result = _settled(await answer(node, {}), at=2)
        errors = {"b": "ValueError: two", "a": "ValueError: one"}
        assert result == NodeResult(
            success=False,
            error="node 'b': ValueError: two; node 'a': ValueError: one",
            metadata={"winner": None, "errors": errors},
        )
        assert str(result.exception) == "two"


@every_strategy
class TestEveryStrategy:
    async def test_gives_all_nodes_the_same_input_in_contexts_of_their_own(
        self, strategy: ParallelStrategy
    ) -> None:
        data, shared, listeners = {"a": 1}, WorkflowContext(), [Listener("a"), Listener("b")]
        await ParallelNode(listeners, strategy).run(data, shared)
        (first,), (second,) = (listener.contexts for listener in listeners)
        assert first[0] is not second[0]
        assert first[0].input_data is second[0].input_data is data
        assert first[1] is second[1] is shared

    async def test_runs_its_nodes_at_the_same_time(self, strategy: ParallelStrategy) -> None:
        barrier = asyncio.Barrier(20)
        nodes = [FunctionNode(lambda _: barrier.wait(), str(number)) for number in range(20)]
        await ParallelNode(nodes, strategy).run({})
        assert_only_the_caller_runs()

    async def test_one_node_is_enough(self, strategy: ParallelStrategy) -> None:
        output = await ParallelNode([_Timed("a", 1)], strategy).run({})
        assert output == ("a!" if strategy in (RACE, ANY) else {"a": "a!"})

    async def test_a_wrong_answer_is_a_failure_like_any_other(
        self, strategy: ParallelStrategy
    ) -> None:
        node = ParallelNode([ScriptedNode(lambda _: {"a": 1}, "wrong")], strategy)
        result = await answer(node, {"item": 1})
        assert not result.success
        assert result.error == (
            "node 'wrong': TypeError: expected NodeResult, got dict; "
            "execute must be defined with async def"
        )

    async def test_a_failure_without_a_message_has_the_default_text(
        self, strategy: ParallelStrategy
    ) -> None:
        def fail(_: Any) -> NodeResult:
            return NodeResult(success=False)

        result = await answer(ParallelNode([fail], strategy), {})
        text = "the node reported a failure without a message"
        assert result.error == f"node 'fail': {text}"
        assert result.metadata["errors"] == {"fail": text}
        assert result.exception is None

    async def test_is_named_where_it_is_run(self, strategy: ParallelStrategy) -> None:
        node = ParallelNode([_Timed("bad", 1, "no luck")], strategy, node_id="models")
        with pytest.raises(
            NodeError, match=r"^node 'models' failed: node 'bad': ValueError: no luck$"
        ) as caught:
            await node.run({})
        assert isinstance(caught.value.__cause__, ValueError)
        assert ParallelNode([_Timed("a", 1)], strategy).node_id == "ParallelNode"

    @pytest.mark.parametrize("fatal", [KeyboardInterrupt("stop"), SystemExit(3)])
    async def test_what_is_fatal_in_a_node_propagates_after_the_others_have_ended(
        self, strategy: ParallelStrategy, fatal: BaseException
    ) -> None:
        async def die(_: Any) -> None:
            await asyncio.sleep(1)
            raise fatal

        other = _Timed("other", 10)
        assert await raised_by(answer(ParallelNode([other, die], strategy), {})) is fatal
        assert now() == 1 + CLEAN_UP
        _assert_cancelled(other, at=1)
        assert_only_the_caller_runs()

    async def test_of_two_that_are_fatal_one_propagates_and_none_is_logged(
        self, strategy: ParallelStrategy
    ) -> None:
        logged = log_of_the_loop()
        fatal = [KeyboardInterrupt("first"), KeyboardInterrupt("second")]

        def die(error: BaseException, node_id: str) -> BaseNode:
            async def script(_: Any) -> NodeResult:
                raise error

            return ScriptedNode(script, node_id)

        nodes = [die(fatal[0], "a"), die(fatal[1], "b")]
        assert await raised_by(answer(ParallelNode(nodes, strategy), {"item": 1})) in fatal
        assert logged() == []

    @pytest.mark.parametrize("suicide", [False, True])
    async def test_a_node_that_ends_as_cancelled_by_itself_fails_and_does_not_hang(
        self, strategy: ParallelStrategy, suicide: bool
    ) -> None:
        async def stray(_: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            if suicide:
                task.cancel()
                await asyncio.sleep(1)
            raise asyncio.CancelledError

        with pytest.raises(NodeError, match="CancelledError"):
            await ParallelNode([stray], strategy).run({})
        assert_only_the_caller_runs()

    async def test_goes_wherever_nodes_go(self, strategy: ParallelStrategy) -> None:
        node = ParallelNode([_Timed("a", 1), _Timed("b", 2)], strategy, "both")
        output = await node.run({})
        (result,) = await BatchProcessor(node).batch([{}])
        assert result.output == output
        assert await MapNode("map", node).run({"items": [{}, {}]}) == {"results": [output] * 2}
        assert await (node | (lambda value: [value])).run({}) == [output]
        assert_only_the_caller_runs()


@pytest.mark.parametrize("strategy", [RACE, ANY])
async def test_what_is_fatal_in_a_losers_clean_up_propagates(strategy: ParallelStrategy) -> None:
    fatal, logged = KeyboardInterrupt("stop"), log_of_the_loop()

    async def loser(_: Any) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            raise fatal

    node = ParallelNode([loser, _Timed("quick", 1)], strategy)
    assert await raised_by(answer(node, {})) is fatal
    assert logged() == []
    assert_only_the_caller_runs()


async def test_what_is_fatal_in_the_future_of_a_loser_propagates_though_it_loses_now() -> None:
    fatal, loop = KeyboardInterrupt("stop"), asyncio.get_running_loop()

    async def wait_for_future(_: Any) -> None:
        future: asyncio.Future[None] = loop.create_future()
        # It raises when the other has failed, and this has not been cancelled for it yet.
        loop.call_later(0, future.set_exception, fatal)
        await future

    def fail(_: Any) -> None:
        raise ValueError

    node = ParallelNode([fail, wait_for_future])
    assert await raised_by(answer(node, {})) is fatal
    assert_only_the_caller_runs()


async def test_a_loser_that_ends_well_in_its_clean_up_changes_nothing() -> None:
    async def stubborn(_: Any) -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
        return "too late"

    result = await answer(ParallelNode([stubborn, _Timed("quick", 1)], RACE), {})
    assert result.metadata == {"winner": "quick", "errors": {}}
    assert result.output == "quick!"
    assert now() == 6


@pytest.mark.parametrize("error", [ValueError("bad"), RuntimeError("worse")])
async def test_a_loser_that_fails_in_its_clean_up_changes_nothing(error: Exception) -> None:
    logged = log_of_the_loop()

    async def loser(_: Any) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            raise error

    result = await answer(ParallelNode([loser, _Timed("quick", 1)], RACE), {})
    assert result.output == "quick!"
    assert logged() == []


class TestArguments:
    def test_two_nodes_with_one_id_are_refused(self) -> None:
        with pytest.raises(
            ValueError, match=r"^nodes must have different ids, got more than one 'b'$"
        ):
            ParallelNode([_Timed("a", 1), _Timed("b", 1), _Timed("c", 1), _Timed("b", 2)])

    def test_no_nodes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^nodes must hold at least one node$"):
            ParallelNode([])

    @pytest.mark.parametrize("nodes", [None, "ab", {"a": len}, len, _Timed("a", 1)])
    def test_nodes_must_be_a_list(self, nodes: Any) -> None:
        with pytest.raises(TypeError, match=r"^nodes must be a list of nodes, got "):
            ParallelNode(nodes)

    @pytest.mark.parametrize("node", [None, "a", 5, _Timed])
    def test_each_must_be_a_node(self, node: Any) -> None:
        with pytest.raises(TypeError, match=r"^each of nodes must be a node or a function, got "):
            ParallelNode([_Timed("a", 1), node])

    @pytest.mark.parametrize("strategy", ["all", None, 1])
    def test_the_strategy_must_be_one(self, strategy: Any) -> None:
        with pytest.raises(TypeError, match=r"^strategy must be a ParallelStrategy, got "):
            ParallelNode([_Timed("a", 1)], strategy)

    def test_any_iterable_of_nodes_will_do(self) -> None:
        node = ParallelNode(_Timed(name, 1) for name in "ab")  # type: ignore[call-overload]
        assert [inner.node_id for inner in node.nodes] == ["a", "b"]
