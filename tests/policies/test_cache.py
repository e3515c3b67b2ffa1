"""What was computed is not computed again, and nothing else comes out of a cache."""

from __future__ import annotations

import asyncio
import copy
import pickle
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FunctionNode,
    MapNode,
    MicroBatchNode,
    NodeContext,
    NodeResult,
    ParallelNode,
    WorkflowContext,
)
from nadoo_flow.policies import (
    CacheError,
    CircuitBreaker,
    ConcurrencyLimit,
    cache,
    circuit_breaker,
    fallback,
    limit,
    retry,
    timeout,
)

from ..stand_ins import assert_only_the_caller_runs, now, raised_by, slowly
from ..threads import in_loops
from .services import Flaky, outcome


class Answering:
    """A function that answers in a second, and notes its calls."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.calls: list[Any] = []
        self._seconds = seconds

    async def __call__(self, prompt: Any) -> Any:
        self.calls.append(prompt)
        await asyncio.sleep(self._seconds)
        return {"answer": prompt}


async def test_in_any_order_nothing_is_computed_again() -> None:
    answering = Answering()
    node = FunctionNode(answering, "ask").pipe(cache())
    prompts = [{"prompt": number} for number in range(1_000)]
    await BatchProcessor(node, 100).batch(prompts)
    assert len(answering.calls) == 1_000
    random.Random(1).shuffle(prompts)
    results = await BatchProcessor(node, 100).batch(prompts)
    assert results.outputs == [{"answer": prompt} for prompt in prompts]
    assert all(result.metadata == {"cached": True} for result in results)
    assert len(answering.calls) == 1_000
    for number in range(1_000, 1_007):
        prompts.insert(random.Random(number).randrange(len(prompts)), {"prompt": number})
    results = await BatchProcessor(node, 100).batch(prompts)
    assert results.outputs == [{"answer": prompt} for prompt in prompts]
    assert sorted(call["prompt"] for call in answering.calls[1_000:]) == list(range(1_000, 1_007))


async def test_equal_inputs_at_a_time_are_one_call() -> None:
    answering = Answering()
    node = FunctionNode(answering, "ask").pipe(cache())
    results = await BatchProcessor(node, 50).batch([{"prompt": "same"}] * 50)
    assert (answering.calls, now()) == ([{"prompt": "same"}], 1)
    assert [result.metadata.get("cached") for result in results] == [None] + [True] * 49
    assert results.outputs == [{"answer": {"prompt": "same"}}] * 50


async def test_a_bare_value_and_its_envelope_are_equal_and_what_looks_like_it_is_not() -> None:
    answering = Answering()
    node = FunctionNode(answering, "ask").pipe(cache())
    for value in ("1", {"item": "1"}, 1, True, 1.0, None, {"a": 1, "b": 2}, {"b": 2, "a": 1}):
        await node.run(value)
    assert [repr(call) for call in answering.calls] == (
        ["'1'", "1", "True", "1.0", "None", "{'a': 1, 'b': 2}"]
    )


class TestKeys:
    async def test_a_key_says_which_inputs_are_equal(self) -> None:
        answering = Answering()
        seen = []

        def find_key(value: Any) -> Any:
            seen.append(value)
            return value["id"]

        node = FunctionNode(answering, "ask").pipe(cache(key=find_key))
        for number in range(3):
            await node.run({"id": 7, "number": number})
        assert answering.calls == [{"id": 7, "number": 0}]
        await FunctionNode(answering, "ask").pipe(cache(key=str.lower)).run("BARE")
        assert seen[0] == {"id": 7, "number": 0}

    async def test_the_key_of_one_input_is_not_another_input(self) -> None:
        answering = Answering()
        store = Store()
        await FunctionNode(answering, "ask").pipe(cache(store, key=str.upper)).run("a")
        await FunctionNode(answering, "ask").pipe(cache(store)).run("A")
        assert answering.calls == ["a", "A"]

    @pytest.mark.parametrize(
        ("find_key", "error"),
        [
            (
                lambda value: None,
                "TypeError: key must return a text, or another value that identifies the input, "
                "got None (NoneType) for 1 (int)",
            ),
            (
                lambda value: value["id"],
                "RuntimeError: key raised TypeError: 'int' object is not subscriptable for 1 (int)",
            ),
        ],
        ids=["none", "raises"],
    )
    async def test_an_input_without_a_key_fails(self, find_key: Any, error: str) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache(key=find_key))
        assert (await outcome(node, 1)).error == error
        assert answering.calls == []

    async def test_a_key_that_has_to_be_awaited_fails_its_item(self) -> None:
        async def later(value: Any) -> Any:
            return value

        node = FunctionNode(Answering(), "ask").pipe(cache(key=lambda value: later(value)))
        error = (await outcome(node, 1)).error
        assert error is not None
        assert error.startswith("TypeError: key must return a text, or another value")

    async def test_an_input_that_cannot_be_compared_fails_and_names_the_way_out(self) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache())
        error = (await outcome(node, {"file": asyncio})).error
        assert error is not None
        assert "a cache cannot compare the input {'file': <module" in error
        assert error.endswith("make inputs of JSON values, or pass a key=")
        assert answering.calls == []


class Store:
    """A store of one's own, and what it was asked."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.data.get(key)

    def set(self, key: str, value: bytes, ttl: float | None) -> None:
        self.data[key] = value


class Other(BaseNode):
    async def execute(self, node_context: Any, workflow_context: Any) -> NodeResult:
        return NodeResult(True, "other")


class TestNodesThatShareAStore:
    @pytest.mark.parametrize("in_memory", [True, False])
    async def test_do_not_mix(self, in_memory: bool) -> None:
        store = Store()
        shared = cache()

        def make(version: str = "") -> Any:
            return cache(version=version) if in_memory else cache(store, version=version)

        policy = shared if in_memory else cache(store)
        nodes = [
            FunctionNode(lambda _: "a", "a").pipe(policy),
            FunctionNode(lambda _: "b", "b").pipe(policy),
            Other("a").pipe(policy),
            FunctionNode(lambda _: "version", "a").pipe(make("b")),
            FunctionNode(lambda _: "ab", "ab").pipe(policy),
            FunctionNode(lambda _: "long", "a b").pipe(policy),
        ]
        for _ in range(2):
            outputs = [await node.run(1) for node in nodes]
            assert outputs == ["a", "b", "other", "version", "ab", "long"]

    async def test_are_one_node_if_they_have_one_name(self) -> None:
        answering, policy = Answering(), cache()
        for _ in range(3):  # as a web service may do for each request
            await FunctionNode(answering, "ask").pipe(policy).run(1)
        assert answering.calls == [1]

    @pytest.mark.parametrize(
        "make",
        [
            lambda: FunctionNode(lambda value: value),
            lambda: FunctionNode(partial(max, 3)),
            lambda: (FunctionNode(abs) | (lambda value: value)).pipe(retry()),
        ],
        ids=["lambda", "partial", "in a pipeline"],
    )
    def test_must_have_names(self, make: Any) -> None:
        policy = cache()
        make().pipe(policy)  # no other one is there yet
        for refusing in (policy, cache("cache.sqlite"), cache(Store())):
            with pytest.raises(ValueError, match=r"write FunctionNode\(function, 'name'\)"):
                make().pipe(refusing)


class TestFailures:
    async def test_are_not_kept(self) -> None:
        flaky = Flaky()
        node = FunctionNode(flaky, "ask").pipe(cache())
        item = {"name": "it", "failures": 1}
        first, second, third = [await outcome(node, item) for _ in range(3)]
        assert (first.success, first.error) == (False, "ValueError: it failed, try 1")
        assert (second.output, second.metadata) == ("it", {})
        assert (third.output, third.metadata) == ("it", {"cached": True})
        assert len(flaky.tries["it"]) == 2

    async def test_are_shared_by_those_who_wait(self) -> None:
        flaky = Flaky(seconds=1)
        node = FunctionNode(flaky, "ask").pipe(cache())
        results = await BatchProcessor(node, 5).batch([{"name": "it", "failures": 1}] * 6)
        assert [result.error for result in results] == ["ValueError: it failed, try 1"] * 5 + [None]
        assert len({id(result.exception) for result in results[:5]}) == 1
        assert flaky.tries["it"] == [0, 1]

    async def test_what_was_used_is_counted_once(self) -> None:
        async def ask(value: Any) -> NodeResult:
            await asyncio.sleep(1)
            usage = {"usage": {"tokens": 10}}
            return NodeResult(value != "bad", value, None if value != "bad" else "no", usage)

        node = FunctionNode(ask).pipe(cache())
        for value in ("good", "bad"):
            results = await BatchProcessor(node, 5).batch([value] * 5)
            assert (results.usage, results.saved) == ({"tokens": 10}, {"tokens": 40})
        again = await BatchProcessor(node).batch(["good"])
        assert (again.usage, again.saved) == ({}, {"tokens": 10})

    async def test_an_output_that_contains_itself_cannot_be_kept(self) -> None:
        def loop(value: Any) -> Any:
            output: list[Any] = []
            output.append(output)
            return output

        result = await outcome(FunctionNode(loop).pipe(cache()), 1)
        assert result.error == "CacheError: the output cannot be kept: it contains itself"
        assert isinstance(result.exception, CacheError)
        assert result.output[0] is result.output


class TestOutputs:
    @pytest.mark.parametrize("waiting", [True, False])
    async def test_of_several_items_are_independent(self, waiting: bool) -> None:
        async def ask(value: Any) -> Any:
            await asyncio.sleep(1)
            return NodeResult(True, {"words": ["a"]}, None, {"tags": ["t"]})

        def use_up(output: Any) -> Any:
            output["words"].append("b")
            return output.pop("words")

        node = FunctionNode(ask).pipe(cache()) | use_up
        results = await BatchProcessor(node, 3 if waiting else 1).batch(["same"] * 3)
        assert results.outputs == [["a", "b"]] * 3

    @pytest.mark.parametrize("output", [iter([1]), map(abs, [1])], ids=["iter", "map"])
    async def test_in_memory_must_be_of_use_twice(self, output: Any) -> None:
        result = await outcome(FunctionNode(lambda _: output).pipe(cache()), 1)
        assert result.output is output
        assert str(result.error).startswith("CacheError: the output cannot be kept: <")
        assert str(result.error).endswith("can be used only once; let the node give a list")

    async def test_in_memory_may_be_anything(self) -> None:
        @dataclass
        class Answer:
            text: str

        node = FunctionNode(lambda value: Answer(value), "answer").pipe(cache())
        assert [await node.run("x") for _ in range(2)] == [Answer("x")] * 2

    async def test_may_be_none(self) -> None:
        calls: list[Any] = []
        node = FunctionNode(calls.append, "note").pipe(cache())
        assert [await node.run("x") for _ in range(3)] == [None] * 3
        assert calls == ["x"]

    async def test_have_the_metadata_that_they_had(self) -> None:
        flaky = Flaky()
        node = FunctionNode(flaky, "ask").pipe(retry(3, wait=0), cache())
        item = {"name": "it", "failures": 1}
        assert (await outcome(node, item)).metadata == {"attempts": 2}
        assert (await outcome(node, item)).metadata == {"attempts": 2, "cached": True}


class TestTtl:
    async def test_an_answer_that_is_too_old_is_computed_anew(self) -> None:
        answering = Answering(seconds=0)
        node = FunctionNode(answering, "ask").pipe(cache(ttl=10))
        for _ in range(4):
            await node.run("x")
            await asyncio.sleep(5)
        # At 0, 5 and 10 seconds it is young enough.
        assert len(answering.calls) == 2

    async def test_the_memory_keeps_those_that_were_used_last(self) -> None:
        answering = Answering(seconds=0)
        node = FunctionNode(answering, "ask").pipe(cache(max_entries=2))
        for value in ("a", "b", "a", "c", "a", "b"):
            await node.run(value)
        assert answering.calls == ["a", "b", "c", "b"]


class TestCancellation:
    async def test_when_the_one_who_calls_is_cancelled_one_who_waits_goes_on(self) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache())
        first, *others = [asyncio.create_task(outcome(node, "x")) for _ in range(4)]
        await asyncio.sleep(0.5)
        first.cancel()
        results = await asyncio.gather(*others)
        assert len(answering.calls) == 2
        assert now() == 1.5
        assert [result.metadata for result in results] == [{}, {"cached": True}, {"cached": True}]
        assert first.cancelled()
        assert_only_the_caller_runs()

    async def test_when_one_who_waits_is_cancelled_the_call_goes_on(self) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache())
        first, second, third = [asyncio.create_task(outcome(node, "x")) for _ in range(3)]
        await asyncio.sleep(0.5)
        second.cancel()
        assert (await first).metadata == {}
        assert (await third).metadata == {"cached": True}
        assert (len(answering.calls), now()) == (1, 1)

    async def test_one_that_is_to_go_on_may_be_cancelled_before_it_does(self) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache())
        first, second, third = [asyncio.create_task(outcome(node, "x")) for _ in range(3)]
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.sleep(0)  # the lead has been handed over
        second.cancel()
        assert (await third).metadata == {}
        assert (len(answering.calls), now()) == (2, 1.5)
        assert second.cancelled()

    async def test_when_all_are_cancelled_the_next_one_calls(self) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache())
        tasks = [asyncio.create_task(outcome(node, "x")) for _ in range(3)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (await outcome(node, "x")).metadata == {}
        assert (len(answering.calls), now()) == (2, 1.5)
        assert_only_the_caller_runs()

    async def test_a_timeout_of_one_who_waits_is_its_own(self) -> None:
        answering = Answering(seconds=3)
        node = FunctionNode(answering, "ask").pipe(cache())
        first = asyncio.create_task(outcome(node, "x"))
        await asyncio.sleep(0)
        late = await outcome(node.pipe(timeout(1)), "x")
        assert (late.error, now()) == ("TimeoutError: not finished within 1 s", 1)
        assert (await first).success

    async def test_a_run_that_ends_leaves_the_call_to_another_run(self) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache())
        ended = asyncio.create_task(BatchProcessor(node).batch(["x", "y"]))
        goes_on = asyncio.create_task(BatchProcessor(node).batch(["x"]))
        await asyncio.sleep(0.5)
        ended.cancel()
        assert [result.output for result in await goes_on] == [{"answer": "x"}]
        assert now() == 1.5
        assert sorted(answering.calls) == ["x", "x", "y"]
        assert_only_the_caller_runs()

    async def test_a_node_that_cancels_itself_fails_its_own_item_and_hangs_no_other(self) -> None:
        calls = 0

        async def ask(value: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 1:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            await asyncio.sleep(1)
            return value

        node = FunctionNode(ask).pipe(cache())
        results = await BatchProcessor(node, 3).batch(["x"] * 3)
        assert [result.error for result in results] == ["CancelledError", None, None]
        assert calls == 2

    async def test_a_node_that_raises_a_cancel_that_no_one_asked_for_has_failed(self) -> None:
        async def ask(value: Any) -> Any:
            await asyncio.sleep(1)
            raise asyncio.CancelledError

        node = FunctionNode(ask).pipe(cache())
        results = await BatchProcessor(node, 3).batch(["x"] * 3)
        assert [result.error for result in results] == ["CancelledError"] * 3
        assert now() == 1

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    async def test_what_ends_the_program_passes(self, error: type[BaseException]) -> None:
        def ask(value: Any) -> Any:
            raise error

        node = FunctionNode(ask).pipe(cache())
        assert type(await raised_by(BatchProcessor(node, 3).batch(["x"] * 3))) is error
        assert_only_the_caller_runs()


class TestInsideItself:
    async def test_a_node_that_asks_for_its_own_input_is_executed_again(self) -> None:
        depths = []

        async def ask(value: Any, context: WorkflowContext) -> Any:
            depth = context.variables["depth"] = context.variables.get("depth", 0) + 1
            depths.append(depth)
            if depth < 3:
                return await node.run(value, context)
            return "deep"

        class Recursive(BaseNode):
            async def execute(
                self, node_context: NodeContext, workflow_context: WorkflowContext
            ) -> NodeResult:
                return NodeResult(True, await ask(node_context.input_data, workflow_context))

        node = Recursive().pipe(cache())
        assert await asyncio.wait_for(node.run("x"), 10) == "deep"
        assert depths == [1, 2, 3]
        assert await node.run("x") == "deep"
        assert depths == [1, 2, 3]

    async def test_without_an_end_it_fails(self) -> None:
        async def ask(value: Any) -> Any:
            return await node.run(value)

        node = FunctionNode(ask).pipe(cache())
        result = await outcome(node, "x")
        assert not result.success
        assert "RecursionError" in str(result.error)

    async def test_two_that_ask_for_each_other_do_not_wait_for_ever(self) -> None:
        calls = []

        async def ask(value: Any) -> Any:
            calls.append(value)
            await asyncio.sleep(1)
            if calls.count(value) < 2:
                await node.run({"a": "b", "b": "a"}[value])
            return value

        node = FunctionNode(ask).pipe(cache())
        results = await BatchProcessor(node, 2).batch(["a", "b"])
        assert results.outputs == ["a", "b"]
        assert len(calls) <= 4
        assert_only_the_caller_runs()

    async def test_and_neither_do_three_through_helper_tasks(self) -> None:
        calls = []

        async def ask(value: int) -> Any:
            calls.append(value)
            await asyncio.sleep(1)
            if calls.count(value) < 2:
                await asyncio.create_task(node.run((value + 1) % 3))
            return value

        node = FunctionNode(ask).pipe(cache())
        assert (await BatchProcessor(node, 3).batch([0, 1, 2])).outputs == [0, 1, 2]

    @pytest.mark.parametrize("order", ["xy", "yx", "xyx", "xxyy"])
    @pytest.mark.parametrize("permits", [1, 2])
    async def test_an_inner_one_does_not_wait_for_what_needs_its_own_permit(
        self, order: str, permits: int
    ) -> None:
        shared = ConcurrencyLimit(permits)

        async def ask(value: str) -> str:
            await asyncio.sleep(1)
            return value if value == "y" else f"x{await node.run('y')}"

        for policies in ((limit(shared), cache()), (cache(), limit(shared))):
            node = FunctionNode(ask).pipe(*policies)
            results = await BatchProcessor(node, 4).batch(list(order))
            assert results.outputs == [{"x": "xy", "y": "y"}[value] for value in order]
        assert shared.in_use == 0

    async def test_neither_does_one_inside_another_node_with_that_permit(self) -> None:
        shared = ConcurrencyLimit(1)

        async def answer(value: str) -> str:
            await asyncio.sleep(1)
            return value

        inner = FunctionNode(answer).pipe(limit(shared), cache())

        async def ask(value: str) -> str:
            await asyncio.sleep(1)
            return await inner.run(value)

        outer = FunctionNode(ask).pipe(limit(shared))
        assert await asyncio.gather(outer.run("a"), inner.run("a")) == ["a", "a"]

    async def test_nor_one_that_is_part_of_the_probe_that_is_waited_for(self) -> None:
        breaker = CircuitBreaker(failures=1, recovery=5)

        async def ask(value: str) -> str:
            await asyncio.sleep(1)
            if value == "bad":
                raise ConnectionError
            return value if value == "y" else await node.run("y")

        node = FunctionNode(ask).pipe(circuit_breaker(breaker, wait=True), cache())
        assert not (await outcome(node, "bad")).success
        results = await BatchProcessor(node, 2).batch(["x", "y"])
        assert results.outputs == ["y", "y"]

    async def test_nor_one_in_a_call_of_many_inputs_that_another_one_waits_for(self) -> None:
        async def ask(values: list[str]) -> list[str]:
            await asyncio.sleep(1)
            return [value if value == "y" else await node.run("y") for value in values]

        node = MicroBatchNode(ask, max_size=1, max_concurrency=1).pipe(cache())
        assert (await BatchProcessor(node, 2).batch(["x", "y"])).outputs == ["y", "y"]
        node = MicroBatchNode(ask, max_size=2).pipe(cache())
        assert (await BatchProcessor(node, 2).batch(["x", "y"])).outputs == ["y", "y"]

    async def test_one_that_goes_on_with_less_leaves_those_with_more_to_themselves(self) -> None:
        shared = ConcurrencyLimit(2)
        busy = FunctionNode(slowly).pipe(limit(shared))

        async def ask(value: str) -> str:
            await asyncio.sleep(1)
            await busy.run(1)
            return value

        plain = FunctionNode(ask).pipe(policy := cache())
        limited = FunctionNode(ask).pipe(policy, limit(shared))
        first, *others = [
            asyncio.create_task(outcome(node, "x")) for node in (limited, plain, limited)
        ]
        await asyncio.sleep(0.5)
        last = asyncio.create_task(outcome(busy, 100))
        await asyncio.sleep(0)
        first.cancel()
        # The second now needs a permit. Of the two the last has one, and the third the other.
        assert [(await other).output for other in others] == ["x", "x"]
        assert now() < 10
        assert (await last).output == 100

    async def test_a_policy_twice_in_one_stack_computes_once(self) -> None:
        answering, policy = Answering(), cache()
        node = FunctionNode(answering, "ask").pipe(policy, retry(), policy)
        assert await node.run("x") == {"answer": "x"}
        assert answering.calls == ["x"]


class TestWithOthers:
    async def test_an_answer_of_a_fallback_around_it_is_not_kept(self) -> None:
        flaky = Flaky()
        node = FunctionNode(flaky, "large").pipe(
            cache(), fallback(FunctionNode(lambda _: "small", "small"))
        )
        item = {"name": "large", "failures": 1}
        assert [await node.run(item) for _ in range(3)] == ["small", "large", "large"]

    async def test_those_who_wait_hold_no_permit(self) -> None:
        answering = Answering()
        shared = ConcurrencyLimit(2)
        node = FunctionNode(answering, "ask").pipe(limit(shared), cache())
        await BatchProcessor(node, 10).batch(["x"] * 5 + ["y"] * 5)
        assert now() == 1

    async def test_it_works_in_stages_and_beside_others(self) -> None:
        answering = Answering()
        node = FunctionNode(answering, "ask").pipe(cache())
        both = ParallelNode([MapNode("first", node), MapNode("second", node)])
        await both.run({"items": ["a", "b", "a"]})
        assert sorted(answering.calls) == ["a", "b"]


def test_one_policy_in_several_event_loops_one_after_the_other() -> None:
    answering = Answering(seconds=0)
    node = FunctionNode(answering, "ask").pipe(cache())
    for _ in range(3):
        results = asyncio.run(BatchProcessor(node).batch(["a", "b", "a"]))
        assert [result.output["answer"] for result in results] == ["a", "b", "a"]
    assert answering.calls == ["a", "b"]


@pytest.mark.slow
def test_threads_with_loops_of_their_own_may_share_a_policy() -> None:
    async def answer(value: int) -> Any:
        await asyncio.sleep(0)
        return {"answer": value}

    for small in (True, False):
        node = FunctionNode(answer).pipe(cache(max_entries=3 if small else 100))

        async def use(number: int, node: BaseNode = node) -> list[Any]:
            results = await BatchProcessor(node, 5).batch([0, 1, 2, 0, number, 5, 6])
            return [result.output["answer"] for result in results]

        answers = in_loops(3, 10, use)
        assert answers == [[[0, 1, 2, 0, number, 5, 6]] * 3 for number in range(10)]


async def test_a_copy_for_another_process_is_empty_and_works() -> None:
    node = FunctionNode(abs).pipe(cache(key=str, version="2", ttl=5))
    assert [(await outcome(node, -3)).metadata for _ in range(2)] == [{}, {"cached": True}]
    for other in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert [(await outcome(other, -3)).metadata for _ in range(2)] == [{}, {"cached": True}]


def test_it_is_shown_as_it_is_written() -> None:
    written = "cache('a.sqlite', key=len, version='2', ttl=60)"
    assert repr(cache(Path("a.sqlite"), len, "2", 60)) == written


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: cache(5), TypeError, "store must be a path or an object with get and set, got 5"),
        (lambda: cache({}), TypeError, "store must be a path or an object with get and set"),
        (lambda: cache(Store), TypeError, "store must be a path or an object with get and set"),
        (lambda: cache(""), TypeError, "the path of a cache must be a text, got ''"),
        (lambda: cache(key=5), TypeError, "key must be a function, got 5"),
        (lambda: cache(version=2), TypeError, "version must be a str, got 2"),
        (lambda: cache(ttl=0), ValueError, "ttl must be above 0, got 0"),
        (lambda: cache(ttl=float("nan")), ValueError, "ttl must be a finite number"),
        (lambda: cache(max_entries=0), ValueError, "max_entries must be at least 1, got 0"),
        (lambda: cache(max_entries=2.5), TypeError, "max_entries must be"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_values_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(message)
