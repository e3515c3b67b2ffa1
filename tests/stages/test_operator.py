"""OperatorNode: stock Rx operators as a list stage."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable

from nadoo_flow import BaseNode, MapNode, NodeError, OperatorNode
from nadoo_flow.stages.fusion import Operator, StageRun
from nadoo_flow.stages.stage import ListStage


async def slow(value: float) -> float:
    await asyncio.sleep(value)
    return value


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ([ops.buffer_with_count(2)], [[3, 1], [1, 2]]),
        ([ops.pairwise()], [(3, 1), (1, 1), (1, 2)]),
        ([ops.distinct()], [3, 1, 2]),
        ([ops.flat_map(lambda x: rx.of(x, -x))], [3, -3, 1, -1, 1, -1, 2, -2]),
        ([ops.map(lambda x: x + 1), ops.to_list()], [[4, 2, 2, 3]]),
        ([ops.ignore_elements()], []),
    ],
)
async def test_operators_see_the_items_in_order(operators: list[Any], expected: list[Any]) -> None:
    chain = MapNode("m", slow, "x", "y") | OperatorNode(*operators, input_key="y", output_key="z")
    assert await chain.run({"x": [3, 1, 1, 2]}) == {"z": expected}


async def test_outputs_are_numbered_anew_for_the_stages_behind() -> None:
    chain = (
        OperatorNode(ops.buffer_with_count(2), input_key="x", output_key="y")
        | MapNode("m", lambda pair: slow(sum(pair)), "y", "z")
        | OperatorNode(ops.to_list(), input_key="z", output_key="w")
    )
    assert await chain.run({"x": [5, 5, 1, 1, 2, 2]}) == {"w": [[10, 2, 4]]}


async def test_an_early_completion_ends_the_stages_before_it() -> None:
    ended: list[float] = []

    async def work(value: float) -> float:
        try:
            return await slow(value)
        finally:
            ended.append(value)

    chain = (
        MapNode("m", work, "x", "y", 5)
        | OperatorNode(ops.take(2), input_key="y", output_key="z")
        | MapNode("n", lambda x: slow(x + 10), "z", "w")
    )
    assert await chain.run({"x": [1, 2, 50, 60, 70, 80, 90]}) == {"w": [11, 12]}
    assert asyncio.get_running_loop().time() == 14
    assert sorted(ended) == [1, 2, 50, 60, 70, 80]
    assert len(asyncio.all_tasks()) == 1


async def test_operators_that_keep_time_do_so_on_the_loop() -> None:
    chain = MapNode("m", slow, "x", "y") | OperatorNode(
        ops.buffer_with_time(1), input_key="y", output_key="z"
    )
    assert await chain.run({"x": [0.5, 0.6, 1.5]}) == {"z": [[0.5, 0.6], [1.5]]}
    assert asyncio.get_running_loop().time() == 1.5


@pytest.mark.asyncio(loop_factories=["real"])
async def test_what_comes_from_another_thread_comes_back_to_the_loop() -> None:
    def from_thread(source: Observable[int]) -> Observable[int]:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            values: list[int] = []

            def send() -> None:
                for value in values:
                    observer.on_next(value)
                observer.on_completed()

            source.subscribe(values.append, observer.on_error, threading.Thread(target=send).start)
            return Disposable()

        return Observable(subscribe)

    home, seen = threading.get_ident(), []

    def note(value: int) -> int:
        seen.append(threading.get_ident())
        return value

    chain = OperatorNode(from_thread, input_key="x", output_key="y") | MapNode("m", note, "y", "z")
    assert await chain.run({"x": range(50)}) == {"z": list(range(50))}
    assert set(seen) == {home}


async def test_rule_r13_what_a_thread_emits_is_not_overtaken() -> None:
    def first_from_thread(source: Observable[int]) -> Observable[int]:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            def on_next(value: int) -> None:
                if value > 1:
                    observer.on_next(value)
                    return
                thread = threading.Thread(target=observer.on_next, args=[value])
                thread.start()
                thread.join()

            return source.subscribe(on_next, observer.on_error, observer.on_completed)

        return Observable(subscribe)

    assert await OperatorNode(first_from_thread).run({"items": [1, 2, 3]}) == {"results": [1, 2, 3]}


class Flaky:
    """Fails at the first 2 that it sees."""

    def __init__(self) -> None:
        self.failed = False

    def __call__(self, value: int) -> int:
        if value == 2 and not self.failed:
            self.failed = True
            raise ValueError("once")
        return value


def _pairs(xs: Observable[int]) -> Observable[Any]:
    return rx.zip(xs, xs.pipe(ops.skip(1)))


@pytest.mark.parametrize("behind_a_stage", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: [_pairs],
        lambda: [lambda xs: rx.merge(xs, xs)],
        lambda: [ops.repeat(2)],
        lambda: [ops.map(Flaky()), ops.retry(3)],
        lambda: [ops.map(Flaky()), ops.retry()],
        lambda: [ops.map(Flaky()), ops.catch(lambda _, xs: xs)],
        lambda: [ops.repeat(2), ops.catch(rx.empty())],
        lambda: [lambda xs: xs.pipe(ops.take_until(xs.pipe(ops.last())))],
        lambda: [ops.share(), ops.repeat(2)],
    ],
    ids=["zip", "merge", "repeat", "retry", "ever", "again", "catch", "until", "share-repeat"],
)
async def test_rule_r12_operators_that_subscribe_twice_get_an_error_that_says_what_to_write(
    make: Callable[[], list[Any]], behind_a_stage: bool
) -> None:
    stage: BaseNode = OperatorNode(*make(), node_id="twice")
    if behind_a_stage:
        stage = MapNode("m", slow, output_key="items") | stage
    with pytest.raises(NodeError) as caught:
        await stage.run({"items": [1, 2, 3]})
    assert "'twice'" in str(caught.value)
    assert "its operators subscribe more than once to the items" in str(caught.value)
    assert "ops.share()" in str(caught.value)
    assert "ops.replay(mapper=...)" in str(caught.value)
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("behind_a_stage", [False, True])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: [ops.share(), _pairs], [(1, 2), (2, 3)]),
        (lambda: [ops.publish(_pairs)], [(1, 2), (2, 3)]),
        (lambda: [ops.replay(mapper=lambda xs: xs.pipe(ops.repeat(2)))], [1, 2, 3, 1, 2, 3]),
        (
            lambda: [ops.replay(mapper=lambda xs: xs.pipe(ops.map(Flaky()), ops.retry(3)))],
            [1, 1, 2, 3],
        ),
        (lambda: [ops.retry(3)], [1, 2, 3]),
    ],
    ids=["share", "publish", "replay-repeat", "replay-retry", "nothing-to-retry"],
)
async def test_rule_r12_what_the_error_says_to_write_works(
    make: Callable[[], list[Any]], expected: list[Any], behind_a_stage: bool
) -> None:
    stage: BaseNode = OperatorNode(*make())
    if behind_a_stage:
        stage = MapNode("m", slow, output_key="items") | stage
    assert await stage.run({"items": [1, 2, 3]}) == {"results": expected}


async def test_rule_r12_holds_for_the_operator_of_a_stage_of_ones_own() -> None:
    class Doubled(ListStage):
        def operator(self, stage_run: StageRun) -> Operator:
            return lambda items: rx.merge(items, items)

    stage = Doubled("doubled", "items", "results", 1)
    with pytest.raises(NodeError, match="'doubled' failed: its operators subscribe more than once"):
        await stage.run({"items": [1, 2]})


async def test_rule_r12_streams_of_an_endless_source_get_the_error_too() -> None:
    stage = OperatorNode(_pairs)
    with pytest.raises(NodeError, match="subscribe more than once"):
        async with stage.stream(count()) as pairs:
            await anext(pairs)
    assert len(asyncio.all_tasks()) == 1


async def test_rule_110_a_stage_can_run_again() -> None:
    for stage in (
        OperatorNode(ops.distinct(), ops.scan(lambda total, value: total + value)),
        OperatorNode(ops.share(), _pairs, ops.map(sum)),
    ):
        both = stage.observe([1, 2, 2]).pipe(ops.repeat(2), ops.to_list())
        first = await both
        assert first == first[: len(first) // 2] * 2
        assert first == await both


async def test_what_an_operator_raises_in_a_timer_fails_the_node() -> None:
    def raising(source: Observable[int]) -> Observable[int]:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            def on_next(value: int) -> None:
                raise OSError("broken")

            return source.subscribe(on_next, scheduler=scheduler)

        return Observable(subscribe)

    stage = OperatorNode(ops.delay(1), raising, node_id="broken")
    with pytest.raises(NodeError, match="node 'broken' failed: OSError: broken") as caught:
        await stage.run({"items": [1]})
    assert isinstance(caught.value.__cause__, OSError)


async def test_an_operator_that_returns_no_observable_is_named() -> None:
    with pytest.raises(NodeError, match=r"'o' failed: the operator .* must return an Observable"):
        await OperatorNode(ops.partition(bool), node_id="o").run({"items": [1]})  # type: ignore[arg-type]


async def test_an_error_of_an_operator_fails_the_node_and_names_it() -> None:
    stage = OperatorNode(ops.map(lambda x: 1 // x), node_id="inverse")
    with pytest.raises(NodeError) as caught:
        await stage.run({"items": [1, 0]})
    assert str(caught.value).startswith("node 'inverse' failed: ZeroDivisionError: ")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_an_error_of_the_source_is_not_blamed_on_the_operators() -> None:
    def inputs() -> Any:
        yield 1
        raise OSError("unplugged")

    stage, seen = OperatorNode(ops.map(abs)), []
    with pytest.raises(OSError, match="unplugged"):
        async for value in stage.stream(inputs()):
            seen.append(value)
    assert seen == [1]


@pytest.mark.slow
async def test_permits_balance_where_outputs_are_fewer_or_more_than_inputs() -> None:
    for operator in (ops.buffer_with_count(7), ops.flat_map(lambda x: rx.of(x, x, x))):
        stage: ListStage = OperatorNode(operator)
        async with stage.stream(range(10_000), max_in_flight=5) as outputs:
            number = 0
            async for _ in outputs:
                number += 1
        assert number in (1_429, 30_000)


def test_it_needs_operators() -> None:
    with pytest.raises(ValueError, match="at least one Rx operator"):
        OperatorNode()
    with pytest.raises(TypeError, match="each of operators must be a function, got 'map'"):
        OperatorNode("map")  # type: ignore[arg-type]
