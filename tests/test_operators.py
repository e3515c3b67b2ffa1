"""Nodes and stages as operators in anyone's own Rx chain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import Subject

from nadoo_flow import (
    FilterNode,
    MapNode,
    NodeError,
    ReduceNode,
    Valve,
)
from nadoo_flow.operators import expand, flat_map

from .stand_ins import (
    CLEAN_UP,
    FLOOR_DIVISION,
    Listener,
    Probe,
    assert_only_the_caller_runs,
    double,
    now,
    observed,
    slowly,
)


async def _values(chain: rx.Observable[Any]) -> list[Any]:
    values: list[Any] = []
    error = await observed(chain, values)
    assert error is None
    return values


class TestFlatMap:
    async def test_maps_values_as_they_complete(self) -> None:
        assert await _values(rx.of(3, 1, 2).pipe(flat_map(slowly))) == [1, 2, 3]
        assert now() == 3

    async def test_maps_values_in_the_order_of_the_source(self) -> None:
        came: list[tuple[float, float]] = []
        chain = rx.of(3, 1, 4, 2).pipe(
            flat_map(slowly, ordered=True),
            ops.do_action(lambda value: came.append((value, now()))),
        )
        assert await _values(chain) == [3, 1, 4, 2]
        assert came == [(3, 3), (1, 3), (4, 4), (2, 4)]

    @pytest.mark.parametrize("limit", [1, 3, 8])
    @pytest.mark.parametrize("ordered", [False, True])
    async def test_concurrency_reaches_the_limit_and_never_exceeds_it(
        self, limit: int, ordered: bool
    ) -> None:
        probe = Probe()
        await _values(rx.from_iterable([3, 1, 2] * 8).pipe(flat_map(probe, limit, ordered)))
        assert probe.peak == limit
        assert len(probe.finished) == 24

    async def test_the_default_concurrency_is_ten(self) -> None:
        probe = Probe()
        await _values(rx.from_iterable([1] * 30).pipe(flat_map(probe)))
        assert probe.peak == 10

    async def test_takes_a_node_and_speaks_to_it_as_a_map_node_does(self) -> None:
        listener = Listener()
        values = await _values(rx.of({"a": 1}, "bare").pipe(flat_map(listener)))
        assert listener.inputs == [{"a": 1}, {"item": "bare"}]
        assert values == [{"a": 1}, "bare"]

    async def test_stands_between_stock_operators(self) -> None:
        chain = rx.range(0, 10).pipe(
            ops.filter(lambda n: n % 2 == 0),
            flat_map(double, ordered=True),
            ops.map(str),
            ops.buffer_with_count(2),
        )
        assert await _values(chain) == [["0", "4"], ["8", "12"], ["16"]]

    async def test_an_empty_source_completes(self) -> None:
        assert await _values(rx.empty().pipe(flat_map(double))) == []
        assert_only_the_caller_runs()

    async def test_the_first_failure_cancels_the_rest_and_arrives_as_a_node_error(self) -> None:
        probe, values = Probe(), list[Any]()

        async def work(item: float) -> float:
            if item == 2:
                await asyncio.sleep(item)
                raise ValueError("bad")
            return await probe(item)

        error = await observed(rx.of(0.5, 2, 10, 20).pipe(flat_map(work, 3)), values)
        assert isinstance(error, NodeError)
        assert str(error) == "node 'work' failed on item 1: ValueError: bad"
        assert isinstance(error.__cause__, ValueError)
        assert values == [0.5]
        assert now() == 2 + CLEAN_UP
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    async def test_an_error_of_the_source_arrives_after_the_values_before_it(self) -> None:
        values: list[Any] = []
        lost = OSError("lost")
        source = rx.concat(rx.of(2, 1), rx.throw(lost))
        assert await observed(source.pipe(flat_map(slowly)), values) is lost
        assert values == [1, 2]

    async def test_rule_206_take_stops_the_source_and_cancels_the_rest(self) -> None:
        probe, source, values = Probe(), Subject[float](), list[Any]()
        source.pipe(flat_map(probe, 2), ops.take(1)).subscribe(values.append)
        for seconds in (1, 10, 10):
            source.on_next(seconds)
        await asyncio.sleep(20)
        assert values == [1]
        assert source.observers == []
        assert probe.finished == [1]
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    async def test_dispose_cancels_what_runs(self) -> None:
        probe, values = Probe(), list[Any]()
        subscription = rx.of(1, 10, 10).pipe(flat_map(probe, 2)).subscribe(values.append)
        await asyncio.sleep(3)
        subscription.dispose()
        await asyncio.sleep(2 * CLEAN_UP)
        assert values == [1]
        probe.assert_cleaned()
        assert_only_the_caller_runs()

    async def test_every_subscription_is_a_run_of_its_own(self) -> None:
        probe = Probe()
        chain = rx.of(1, 1, 1).pipe(flat_map(probe, 2))
        assert await asyncio.gather(_values(chain), _values(chain)) == [[1, 1, 1], [1, 1, 1]]
        assert probe.peak == 4

    def test_needs_a_running_event_loop(self) -> None:
        errors: list[Exception] = []
        rx.of(1).pipe(flat_map(double)).subscribe(on_error=errors.append)
        (error,) = errors
        assert str(error).startswith("a run needs a running event loop")

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((5,), TypeError, "node must be a node or a function, got 5 (int)"),
            ((double, 0), ValueError, "max_concurrency must be at least 1, got 0"),
            ((double, True), TypeError, "max_concurrency must be a positive int, got True (bool)"),
            ((double, 1, 1), TypeError, "ordered must be True or False, got 1 (int)"),
        ],
    )
    def test_arguments_are_checked_before_anything_is_subscribed(
        self, arguments: tuple[Any, ...], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error) as caught:
            flat_map(*arguments)
        assert str(caught.value) == message


class TestAsOperator:
    @pytest.mark.parametrize("ordered", [False, True])
    async def test_a_map_node_goes_on_without_failed_items_and_logs_them(
        self, ordered: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def work(item: float) -> float:
            await asyncio.sleep(item)
            if item > 2:
                raise ValueError(f"no {item}")
            return item

        stage = MapNode("work", work, continue_on_error=True)
        with caplog.at_level(logging.WARNING, logger="nadoo_flow"):
            values = await _values(rx.of(3, 2, 4, 1).pipe(stage.as_operator(ordered=ordered)))
        assert values == ([2, 1] if ordered else [1, 2])
        assert caplog.messages == [
            "node 'work' goes on without item 0: ValueError: no 3",
            "node 'work' goes on without item 2: ValueError: no 4",
        ]

    @pytest.mark.parametrize("ordered", [False, True])
    async def test_a_filter_node_drops_what_it_does_not_keep(self, ordered: bool) -> None:
        async def keeps(item: float) -> bool:
            await asyncio.sleep(item)
            return item != 2

        stage = FilterNode("keeps", keeps)
        values = await _values(rx.of(3, 2, 1).pipe(stage.as_operator(ordered=ordered)))
        assert values == ([3, 1] if ordered else [1, 3])

    @pytest.mark.parametrize("source", [[1, 2, 3], []])
    async def test_a_reduce_node_emits_its_one_value_at_the_end(self, source: list[int]) -> None:
        stage = ReduceNode("sum", lambda total, item: total + item, 100)
        assert await _values(rx.from_iterable(source).pipe(stage.as_operator())) == [
            100 + sum(source)
        ]

    @pytest.mark.parametrize(
        ("make", "name"),
        [
            (lambda fn: MapNode("stage", fn), "map"),
            (lambda fn: FilterNode("stage", fn), "filter"),
            (lambda fn: ReduceNode("stage", lambda _, item: fn(item)), "reduce"),
        ],
    )
    async def test_a_failing_item_arrives_as_an_error_that_names_it(
        self, make: Callable[..., Any], name: str
    ) -> None:
        def work(item: int) -> int:
            return 6 // (3 - item)

        error = await observed(rx.range(0, 9).pipe(make(work).as_operator()), [])
        assert isinstance(error, NodeError), name
        assert str(error) == f"node 'stage' failed on item 3: {FLOOR_DIVISION}"
        assert isinstance(error.__cause__, ZeroDivisionError)

    async def test_several_stages_make_one_chain(self) -> None:
        chain = rx.range(0, 10).pipe(
            MapNode("double", double).as_operator(),
            FilterNode("large", lambda n: n >= 10).as_operator(),
            ReduceNode("sum", lambda total, n: total + n, 0).as_operator(),
        )
        assert await _values(chain) == [10 + 12 + 14 + 16 + 18]
        assert_only_the_caller_runs()

    @pytest.mark.slow
    async def test_rule_303_a_long_source_uses_a_bounded_stack(self) -> None:
        stage = FilterNode("none", lambda _: False)
        assert await _values(rx.range(0, 20_000).pipe(stage.as_operator())) == []


class TestDraining:
    @pytest.mark.parametrize("ordered", [False, True])
    async def test_rule_r50_what_is_in_work_is_emitted_and_then_it_completes(
        self, ordered: bool
    ) -> None:
        subject, valve = Subject[float](), Valve()
        chain = subject.pipe(flat_map(slowly, 2, ordered, valve=valve))
        emitted = asyncio.ensure_future(_values(chain))
        await asyncio.sleep(0)
        for seconds in (3, 2, 1):
            subject.on_next(seconds)
        await asyncio.sleep(0.5)
        cancelled = await valve.drain()
        assert (cancelled, now()) == (0, 3)
        assert await emitted == ([3, 2] if ordered else [2, 3])
        assert not subject.observers

    async def test_rule_r50_an_expansion_expands_nothing_more(self) -> None:
        valve = Valve()
        executed = []

        async def halve(number: float) -> list[float]:
            executed.append(number)
            await asyncio.sleep(1)
            if number == 4:
                valve.drain()
            return [number / 2]

        assert await _values(rx.of(8.0).pipe(expand(halve, valve=valve))) == [8, 4, 2]
        assert executed == [8, 4]

    @pytest.mark.parametrize("operator", [flat_map, expand])
    def test_what_is_no_valve_is_refused(self, operator: Any) -> None:
        with pytest.raises(TypeError, match="valve must be a Valve, got 5"):
            operator(slowly, valve=5)
