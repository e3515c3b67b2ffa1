"""OperatorNode: stock Rx operators as a list stage."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable

from nadoo_flow import MapNode, NodeError, OperatorNode
from nadoo_flow.list_stage import ListStage


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
            count = 0
            async for _ in outputs:
                count += 1
        assert count in (1_429, 30_000)


def test_it_needs_operators() -> None:
    with pytest.raises(ValueError, match="at least one Rx operator"):
        OperatorNode()
    with pytest.raises(TypeError, match="each of operators must be a function, got 'map'"):
        OperatorNode("map")  # type: ignore[arg-type]
