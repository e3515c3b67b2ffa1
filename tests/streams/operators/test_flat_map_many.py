"""The operator that gets many outputs out of each item, and its places in the window."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from nadoo_flow.streams import (
    CloseableAsyncIterator,
    ManyWork,
    Outlet,
    Plan,
    Subscription,
    emit,
    flat_map_many,
)

from ...stand_ins import assert_only_the_caller_runs, now, raised_by
from ..runs import started

Give = Callable[[int], Any]


class Giving(ManyWork[Any]):
    """Gives what a function returns for the number of an item."""

    def __init__(self, give: Give) -> None:
        self._give = give

    def pull(self, item: Any, outlet: Outlet) -> Any:
        return outlet.pull(self._give(item[1]))


def plan(source: Any, *give: Give, limit: int = 2, window: int = 8, ordered: bool = False) -> Any:
    """Plan to put the numbers of a source through operators one after the other."""

    def build(run: Subscription) -> Observable[Any]:
        many = [flat_map_many(run, Giving(one), limit, ordered=ordered) for one in reversed(give)]
        return emit(run, source).pipe(*reversed(many))

    return Plan(build, limit, window)


def forever(item: int) -> Iterator[int]:
    while True:
        yield item


async def one_a_second(item: int) -> AsyncIterator[int]:
    while True:
        await asyncio.sleep(1)
        yield item


class TestPlaces:
    async def test_rule_r27_each_output_is_outstanding_until_it_is_settled(self) -> None:
        run, seen = started(plan(range(3), forever))
        await asyncio.sleep(1)
        assert (len(seen.values), run.outstanding) == (7, 8)  # and an item that waits for a lane
        run.release(3)
        await asyncio.sleep(1)
        assert (len(seen.values), run.outstanding) == (10, 8)
        run.cancel()
        await run.join()

    async def test_rule_r27_those_who_wait_take_turns(self) -> None:
        run, seen = started(plan(range(2), forever, window=4))
        for _ in range(10):
            await asyncio.sleep(1)
            run.release(1)
        assert [item for _, item in seen.values[4:]] == [0, 1] * 4 + [0]
        run.cancel()
        await run.join()

    async def test_places_that_are_free_at_once_go_to_one_item(self) -> None:
        run, seen = started(plan(range(2), forever, window=8))
        await asyncio.sleep(1)
        before = len(seen.values)
        run.release(before)
        await asyncio.sleep(1)
        assert [item for _, item in seen.values[before:]] == [0] * 8
        run.cancel()
        await run.join()

    async def test_an_item_that_awaits_keeps_no_other_from_its_places(self) -> None:
        def give(item: int) -> Any:
            return one_a_second(item) if item == 0 else forever(item)

        run, seen = started(plan(range(2), give, window=4))
        for _ in range(5):
            await asyncio.sleep(1)
            run.release(run.outstanding - 1)
        items = [item for _, item in seen.values]
        assert items.count(0) == 4
        assert items.count(1) > 10
        run.cancel()
        await run.join()

    async def test_a_cancelled_wait_keeps_no_place(self) -> None:
        async def give(item: int) -> AsyncIterator[int]:
            task = asyncio.current_task()
            assert task is not None
            if item == 0:
                task.get_loop().call_later(2, task.cancel)
            while True:
                yield item

        class GoingOn(Giving):
            def fail(self, item: Any, error: BaseException, outputs: int) -> None:
                assert isinstance(error, asyncio.CancelledError)

        def build(run: Subscription) -> Observable[Any]:
            return emit(run, range(2)).pipe(flat_map_many(run, GoingOn(give), 1))

        run, seen = started(Plan(build, 1, 3))
        await asyncio.sleep(3)
        assert ([item for _, item in seen.values], run.outstanding) == ([0, 0, 0], 3)
        run.release(3)
        await asyncio.sleep(1)
        assert [item for _, item in seen.values] == [0, 0, 0, 1, 1, 1]
        run.cancel()
        await run.join()

    @pytest.mark.parametrize("window", [1, 2, 3, 4, 9])
    async def test_rule_r28_each_operator_has_a_place_of_its_own(self, window: int) -> None:
        twice: Give = lambda item: iter([item] * 2)  # noqa: E731
        stream = CloseableAsyncIterator(plan(range(4), twice, twice, twice, window=window))
        assert sorted([item async for _, item in stream]) == sorted(list(range(4)) * 8)

    async def test_the_source_leaves_half_of_the_window_to_the_outputs(self) -> None:
        run, _ = started(plan(range(100), one_a_second, limit=2, window=20))
        await asyncio.sleep(0)
        assert (run.pulled, run.limit) == (10, 10)
        run.cancel()
        await run.join()

    async def test_the_source_keeps_all_lanes_busy(self) -> None:
        run, _ = started(plan(range(100), one_a_second, limit=9, window=10))
        await asyncio.sleep(0)
        assert run.pulled == 9
        run.cancel()
        await run.join()


class TestEnds:
    async def test_outputs_are_numbered_anew(self) -> None:
        stream = CloseableAsyncIterator(plan([5, 6], lambda item: iter([item, item]), limit=1))
        assert [output async for output in stream] == [(0, 5), (1, 5), (2, 6), (3, 6)]

    async def test_what_the_work_raises_ends_the_run(self) -> None:
        def give(item: int) -> Iterator[int]:
            yield item
            raise ValueError("no luck")

        run, seen = started(plan(range(3), give))
        await asyncio.sleep(1)
        assert [item for _, item in seen.values] == [0]
        assert [str(end) for end in seen.ends] == ["no luck"]
        await run.join()
        assert_only_the_caller_runs()

    async def test_rule_r30_a_close_that_awaits_is_awaited(self) -> None:
        closed: list[float] = []

        async def give(item: int) -> AsyncIterator[int]:
            try:
                while True:
                    yield item
            finally:
                await asyncio.sleep(3)
                closed.append(now())

        def build(run: Subscription) -> Observable[Any]:
            return emit(run, range(1)).pipe(flat_map_many(run, Giving(give), 1), ops.take(1))

        assert [item async for item in CloseableAsyncIterator(Plan(build, 1, 4))] == [(0, 0)]
        assert closed == [3]

    async def test_a_generator_that_swallows_the_end_is_closed(self) -> None:
        noted: list[str] = []

        async def give(item: int) -> AsyncIterator[int]:
            try:
                while True:
                    try:
                        await asyncio.sleep(1)
                    except asyncio.CancelledError:
                        noted.append("swallowed")
                    yield item
            finally:
                noted.append("closed")

        stream: Any = CloseableAsyncIterator(plan([0], give))
        async with stream:
            await anext(stream)
        assert noted == ["swallowed", "closed"]
        assert_only_the_caller_runs()

    async def test_an_aclose_that_raises_is_the_error_of_its_item(self) -> None:
        class Sour:
            def __aiter__(self) -> Any:
                return self

            async def __anext__(self) -> int:
                raise StopAsyncIteration

            async def aclose(self) -> None:
                raise ValueError("sour")

        stream: Any = CloseableAsyncIterator(plan([0], lambda _: Sour()))
        assert str(await raised_by(anext(stream))) == "sour"
