"""Many executions that become few calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, FunctionNode, MapNode, MicroBatchNode, NodeError
from nadoo_flow.policies import retry, timeout

from ..stand_ins import (
    CLEAN_UP,
    assert_only_the_caller_runs,
    log_of_the_loop,
    now,
    raised_by,
    slowly,
)


class Model:
    """A function of a list, which takes a second and notes what it got, and when."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.calls: list[tuple[float, list[Any]]] = []
        self.cancelled: list[list[Any]] = []
        self.at_work = self.peak = 0
        self._seconds = seconds

    async def __call__(self, texts: list[Any]) -> list[Any]:
        self.calls.append((now(), list(texts)))
        self.at_work += 1
        self.peak = max(self.peak, self.at_work)
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(CLEAN_UP)
            self.cancelled.append(texts)
            raise
        finally:
            self.at_work -= 1
        return [text * 2 for text in texts]

    @property
    def sizes(self) -> list[int]:
        return [len(texts) for _, texts in self.calls]


class TestCalls:
    @pytest.mark.parametrize("concurrency", [96, 192])
    async def test_are_few(self, concurrency: int) -> None:
        model = Model()
        results = await BatchProcessor(MicroBatchNode(model), concurrency).batch(range(1000))
        assert results.outputs == [2 * number for number in range(1000)]
        assert model.sizes == [96] * 10 + [40]

    async def test_begin_when_nothing_more_can_come(self) -> None:
        model = Model()
        node = MicroBatchNode(model, max_wait=60)
        results = await BatchProcessor(node, max_concurrency=4).batch(range(10))
        assert len(results.outputs) == 10
        assert model.calls == [(0, [0, 1, 2, 3]), (1, [4, 5, 6, 7]), (2, [8, 9])]

    async def test_begin_when_the_first_input_has_waited(self) -> None:
        model = Model()
        node = MicroBatchNode(model, max_wait=0.5)

        async def ask(delay: float) -> Any:
            await asyncio.sleep(delay)
            return await node.run(delay)

        assert await asyncio.gather(*map(ask, (0, 0.25, 0.625))) == [0, 0.5, 1.25]
        assert model.calls == [(0.5, [0, 0.25]), (1.125, [0.625])]

    async def test_a_lone_input_waits_no_longer(self) -> None:
        model = Model()
        assert await MicroBatchNode(model).run("a") == "aa"
        assert model.calls == [(0.01, ["a"])]

    async def test_collect_the_items_of_several_runs(self) -> None:
        model = Model()
        node = MicroBatchNode(model, max_size=6, max_wait=60)
        processor, stage = BatchProcessor(node, 3), MapNode("map", node, max_concurrency=3)
        results, output = await asyncio.gather(
            processor.batch([1, 2, 3]), stage.run({"items": [4, 5, 6]})
        )
        assert (results.outputs, output) == ([2, 4, 6], {"results": [8, 10, 12]})
        assert model.sizes == [6]

    async def test_have_no_more_weight_than_the_most(self) -> None:
        model = Model()
        node = MicroBatchNode(model, max_weight=10, weight=len)
        texts = ["a" * size for size in (4, 4, 4, 12, 1, 9, 2)]
        results = await BatchProcessor(node).batch(texts)
        assert [[len(text) for text in given] for _, given in model.calls] == [
            [4, 4],
            [4],
            [12],
            [1, 9],
            [2],
        ]
        assert [len(output) for output in results.outputs] == [8, 8, 8, 24, 2, 18, 4]

    async def test_are_no_more_at_a_time_than_max_concurrency(self) -> None:
        model = Model()
        node = MicroBatchNode(model, max_size=2, max_concurrency=3)
        await BatchProcessor(node, max_concurrency=20).batch(range(20))
        assert (model.peak, now()) == (3, 4)

    async def test_inside_a_call_need_no_permit_of_their_own(self) -> None:
        async def count_down(numbers: list[int]) -> list[int]:
            return [number and await node.run(number - 1) for number in numbers]

        node = MicroBatchNode(count_down, max_concurrency=1)
        results = await BatchProcessor(node).batch(range(5))
        assert [result.output for result in results] == [0] * 5

    async def test_get_what_a_function_node_would_get(self) -> None:
        model = Model()
        node = MicroBatchNode(lambda values: [repr(value) for value in values])
        results = await BatchProcessor(node).batch([1, {"item": 2}, {"a": 3}])
        assert results.outputs == ["1", "2", "{'a': 3}"]
        assert model.calls == []

    async def test_may_be_made_again(self) -> None:
        tries: list[list[int]] = []

        async def flaky(values: list[int]) -> list[int]:
            tries.append(values)
            if len(tries) == 1:
                raise OSError("busy")
            return values

        node = MicroBatchNode(flaky).pipe(retry(2, wait=1))
        assert (await BatchProcessor(node).batch([1, 2])).outputs == [1, 2]
        assert tries == [[1, 2], [1, 2]]


class TestFailures:
    async def test_an_output_that_is_an_exception_fails_its_item_alone(self) -> None:
        node = MicroBatchNode(lambda values: [OSError("no") if v == 2 else v for v in values])
        results = await BatchProcessor(node).batch([1, 2, 3])
        assert [result.output for result in results] == [1, None, 3]
        assert results[1].error == "OSError: no"

    @pytest.mark.parametrize(
        ("fn", "error"),
        [
            (lambda values: values[1:], "ValueError: the function got 3 inputs and returned 2"),
            (lambda values: None, "TypeError: the function must return a list of 3 outputs, got "),
            (lambda values: "abc", "TypeError: the function must return a list of 3 outputs"),
            (lambda values: values[9], "IndexError: list index out of range"),
        ],
    )
    async def test_of_a_call_fail_all_its_items(self, fn: Callable[..., Any], error: str) -> None:
        results = await BatchProcessor(MicroBatchNode(fn)).batch([1, 2, 3])
        assert all((result.error or "").startswith(error) for result in results)

    @pytest.mark.parametrize("error", [StopIteration, GeneratorExit, asyncio.CancelledError])
    async def test_of_any_kind_are_failures(self, error: type[BaseException]) -> None:
        def fail(values: list[int]) -> list[int]:
            raise error

        results = await BatchProcessor(MicroBatchNode(fn=fail)).batch([1, 2])
        assert {result.error for result in results} == {
            f"RuntimeError: a call raised {error.__name__}"
        }
        assert_only_the_caller_runs()

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    async def test_what_is_fatal_ends_the_run(self, error: type[BaseException]) -> None:
        def fail(values: list[int]) -> list[int]:
            raise error

        assert isinstance(
            await raised_by(BatchProcessor(MicroBatchNode(fail)).batch([1, 2])), error
        )
        assert_only_the_caller_runs()

    async def test_a_weight_that_is_none_fails_its_item(self) -> None:
        node = MicroBatchNode(Model(), max_weight=5, weight=lambda value: value)
        results = await BatchProcessor(node).batch([1, "x", -1])
        assert [result.success for result in results] == [True, False, False]
        assert "the weight of an input must be " in (results[1].error or "")


class TestCancellation:
    async def test_of_one_item_leaves_the_call_to_the_others(self) -> None:
        model = Model(seconds=10)
        node = MicroBatchNode(model, max_size=2)
        first, second = (asyncio.create_task(node.run(number)) for number in (1, 2))
        await asyncio.sleep(5)
        first.cancel()
        assert await second == 4
        assert first.cancelled()
        assert model.cancelled == []

    async def test_of_all_cancels_it_and_waits_for_its_clean_up(self) -> None:
        model = Model(seconds=100)
        node = MicroBatchNode(model).pipe(timeout(5))
        results = await BatchProcessor(node).batch([1, 2])
        assert {result.error for result in results} == {"TimeoutError: not finished within 5 s"}
        assert model.cancelled == [[1, 2]]
        assert_only_the_caller_runs()

    async def test_of_a_run_ends_its_calls(self) -> None:
        model = Model(seconds=100)
        batch = asyncio.create_task(BatchProcessor(MicroBatchNode(model)).batch(range(3)))
        await asyncio.sleep(5)
        batch.cancel()
        assert isinstance(await raised_by(batch), asyncio.CancelledError)
        assert model.cancelled == [[0, 1, 2]]
        assert_only_the_caller_runs()

    async def test_what_its_clean_up_raises_is_dropped_unless_it_is_fatal(self) -> None:
        async def stop_with(errors: list[BaseException]) -> list[Any]:
            try:
                return [await asyncio.sleep(100)]
            finally:
                raise errors[0]

        node = MicroBatchNode(stop_with).pipe(timeout(5))
        log = log_of_the_loop()
        (result,) = await BatchProcessor(node).batch([ValueError("no")])
        assert (result.error, log()) == ("TimeoutError: not finished within 5 s", [])
        for fatal in (KeyboardInterrupt("no"), SystemExit("no")):
            assert await raised_by(BatchProcessor(node).batch([fatal])) is fatal
        assert now() == 15

    async def test_before_the_call_takes_the_input_out(self) -> None:
        model = Model()
        node = MicroBatchNode(model, max_wait=5)
        first, second = (asyncio.create_task(node.run(number)) for number in (1, 2))
        await asyncio.sleep(1)
        first.cancel()
        assert await second == 4
        assert model.calls == [(5, [2])]


async def test_it_is_a_node_like_others() -> None:
    node = MicroBatchNode(Model(), node_id="embed")
    assert (node.node_id, MicroBatchNode(slowly).node_id) == ("embed", "slowly")
    assert await (FunctionNode(str) | node | len).run(12) == 4
    error = await raised_by(MicroBatchNode(lambda values: [OSError("no")], node_id="x").run(1))
    assert isinstance(error, NodeError)
    assert str(error) == "node 'x' failed: OSError: no"


@pytest.mark.parametrize(
    "given",
    [
        {"fn": 5},
        {"max_size": 0},
        {"max_wait": -1},
        {"max_weight": 0, "weight": len},
        {"max_weight": 1, "weight": 5},
        {"max_weight": 1},
        {"weight": len},
        {"max_concurrency": 0},
    ],
)
def test_bad_arguments_are_refused(given: dict[str, Any]) -> None:
    names = "|".join([*given, "max_weight and weight"])
    with pytest.raises((TypeError, ValueError), match=rf"^({names}) must "):
        MicroBatchNode(**{"fn": slowly, **given})
