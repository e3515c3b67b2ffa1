"""Order restored where it can be seen."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from nadoo_flow.streams import InOrder, Plan, Subscription, drain, emit, flat_map
from tests.work import Mapped

from ..runs import in_any_case, ordered_plan, stack_depth

on_next, on_completed, on_error = (
    ReactiveTest.on_next,
    ReactiveTest.on_completed,
    ReactiveTest.on_error,
)


def make_in_order() -> InOrder[Any]:
    return InOrder(itemgetter(0))


def restored(*arrivals: tuple[int, int | None]) -> list[int]:
    """Let items arrive by their indexes, None for one that was dropped; return what came out."""
    in_order, subject, seen = make_in_order(), Subject[tuple[int, int]](), list[int]()
    subject.pipe(in_order.operator).subscribe(lambda indexed: seen.append(indexed[1]))
    for index, value in arrivals:
        in_order.skip(index) if value is None else subject.on_next((index, value))
    return seen


def test_items_wait_until_all_before_them_are_there() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        on_next(210, (1, "b")),
        on_next(220, (2, "c")),
        on_next(230, (0, "a")),
        on_next(240, (3, "d")),
        on_completed(250),
    )
    result = scheduler.start(lambda: source.pipe(make_in_order().operator))
    assert result.messages == [
        on_next(230, (0, "a")),
        on_next(230, (1, "b")),
        on_next(230, (2, "c")),
        on_next(240, (3, "d")),
        on_completed(250),
    ]


def test_an_error_passes_at_once() -> None:
    scheduler, error = TestScheduler(), OSError("broken")
    source = scheduler.create_hot_observable(on_next(210, (1, "b")), on_error(220, error))
    result = scheduler.start(lambda: source.pipe(make_in_order().operator))
    assert result.messages == [on_error(220, error)]


def test_a_dropped_item_holds_nothing_up() -> None:
    assert restored((1, 10), (2, 20), (0, None)) == [10, 20]
    assert restored((0, None), (1, None), (2, 20)) == [20]
    assert restored((0, 0), (1, None), (2, 20)) == [0, 20]
    assert restored((0, None)) == []


def test_what_waits_for_an_item_that_never_came_is_emitted_at_the_end() -> None:
    """A stage of one's own may have dropped it without a word."""
    values, in_order, subject = list[Any](), make_in_order(), Subject[tuple[int, str]]()
    subject.pipe(in_order.operator).subscribe(values.append)
    for indexed in ((4, "e"), (0, "a"), (2, "c")):
        subject.on_next(indexed)
    in_order.skip(3)
    subject.on_completed()
    assert values == [(0, "a"), (2, "c"), (4, "e")]


@pytest.mark.parametrize("arrivals", [[(0, "a"), (0, "b")], [(1, "a"), (1, "b"), (0, "c")]])
def test_two_items_with_one_index_are_an_error(arrivals: list[tuple[int, str]]) -> None:
    values, errors = list[Any](), list[Exception]()
    in_order = make_in_order().operator
    rx.of(*arrivals, (2, "z")).pipe(in_order).subscribe(values.append, errors.append)
    index = arrivals[1][0]
    assert [str(error)[:26] for error in errors] == [f"two items have the index {index}"]
    assert (2, "z") not in values


def test_none_and_false_values_are_values() -> None:
    values: list[Any] = []
    rx.of((1, False), (0, None)).pipe(make_in_order().operator).subscribe(values.append)
    assert values == [(0, None), (1, False)]


@in_any_case
@given(st.data(), st.integers(0, 30))
def test_any_arrival_comes_out_in_order(data: st.DataObject, length: int) -> None:
    dropped = data.draw(st.sets(st.integers(0, max(length - 1, 0))))
    order = data.draw(st.permutations(range(length)))
    arrivals = [(index, None if index in dropped else index) for index in order]
    assert restored(*arrivals) == [index for index in range(length) if index not in dropped]


@pytest.mark.parametrize("length", [0, 1, 100])
async def test_results_come_in_the_order_of_their_inputs(length: int) -> None:
    async def mapper(item: int) -> int:
        await asyncio.sleep(item * 7 % 5)
        return item

    results: list[int] = []
    await drain(ordered_plan(range(length), mapper, 4), results.append)
    assert results == list(range(length))


@pytest.mark.slow
async def test_rule_303_a_hundred_thousand_items_behind_one_do_not_nest() -> None:
    """Also where all of them are let go at once, and each of them brings demand."""
    depths: set[int] = set()
    in_order = make_in_order()

    async def first_is_last(indexed: tuple[int, int]) -> tuple[int, int]:
        if indexed[0] == 0:
            await asyncio.sleep(1)
        return indexed

    def build(run: Subscription) -> Observable[tuple[int, int]]:
        lanes = flat_map(run, Mapped(first_is_last), 2)
        return emit(run, range(100_000)).pipe(lanes, in_order.operator, ops.filter(kept(run)))

    def kept(run: Subscription) -> Any:
        def keep(indexed: tuple[int, int]) -> bool:
            if indexed[0] % 1000 == 999:
                depths.add(stack_depth())
            run.release()
            return False

        return keep

    run = await drain(Plan(build, 2, 50_000), print)
    assert (run.pulled, run.outstanding) == (100_000, 0)
    # The held ones are let go by the first, the later ones by themselves: two depths at most.
    assert len(depths) <= 2
