"""A run awaited to its end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from nadoo_flow.streams import Plan, drain

from ...stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by
from ..runs import Inputs, both_kinds, lanes_plan, same, sleeping, values_of


@both_kinds
async def test_it_hands_over_each_item_as_it_comes(kind: str) -> None:
    times: list[tuple[int, float]] = []
    plan = lanes_plan(Inputs(3).of(kind), sleeping, 1)
    await drain(plan, lambda item: times.append((item, now())))
    assert times == [(0, 1), (1, 2), (2, 3)]
    assert_only_the_caller_runs()


async def test_it_returns_the_run_that_has_ended() -> None:
    run = await drain(lanes_plan(range(20), sleeping, 2), lambda _: None)
    assert run.finished
    assert (run.pulled, run.outstanding, run.dropped) == (20, 0, 0)


async def test_rule_104_an_error_is_raised_after_what_was_finished() -> None:
    error, results = OSError("the source broke"), list[int]()
    assert await raised_by(drain(lanes_plan(Inputs(3, error).sync()), results.append)) is error
    assert results == [0, 1, 2]
    assert_only_the_caller_runs()


@both_kinds
async def test_rule_r4_a_timeout_is_raised_when_the_run_has_ended(kind: str) -> None:
    probe, inputs = Probe(), Inputs()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await drain(lanes_plan(inputs.of(kind), lambda _: probe(10.0)), print)
    assert now() == 3 + CLEAN_UP + (CLEAN_UP if kind == "async" else 0)
    assert len(probe.cleaned) == 2
    assert inputs.closed == 1
    assert_only_the_caller_runs()


async def test_rule_r4_a_cancel_is_raised_when_the_run_has_ended() -> None:
    probe = Probe()
    running = asyncio.create_task(drain(lanes_plan([10.0] * 5, probe), print))
    await asyncio.sleep(3)
    running.cancel("from outside")
    error = await raised_by(running)
    assert isinstance(error, asyncio.CancelledError)
    assert error.args == ("from outside",)
    assert (now(), running.cancelled()) == (3 + CLEAN_UP, True)
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_r4_a_cancel_that_comes_with_the_end_is_not_lost() -> None:
    async def cancelling(item: int) -> int:
        running.cancel()
        return item

    running = asyncio.create_task(drain(lanes_plan([1], cancelling), lambda _: None))
    assert isinstance(await raised_by(running), asyncio.CancelledError)
    assert_only_the_caller_runs()


@pytest.mark.parametrize("error", [ValueError("in on_next"), KeyboardInterrupt(), SystemExit()])
async def test_rule_213_what_on_next_raises_is_raised_as_it_is(error: BaseException) -> None:
    inputs, probe = Inputs(), Probe()

    async def mapper(item: int) -> int:
        await probe(1.0 if item == 0 else 10.0)
        return item

    def on_next(_: int) -> None:
        raise error

    assert await raised_by(drain(lanes_plan(inputs.sync(), mapper), on_next)) is error
    assert inputs.closed == 1
    assert now() == 1 + CLEAN_UP + CLEAN_UP
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_213_what_on_next_raises_in_a_chain_without_lanes_is_raised_too() -> None:
    error, inputs = ValueError("in on_next"), Inputs()

    def on_next(_: int) -> None:
        raise error

    for kind in ("sync", "async"):
        plan = Plan(values_of(inputs.of(kind)), 1)
        assert await raised_by(drain(plan, on_next)) is error
    assert inputs.closed == 2


async def test_runs_can_be_nested() -> None:
    async def inner(item: int) -> int:
        results: list[int] = []
        await drain(lanes_plan(range(item), sleeping, 1), results.append)
        return sum(results)

    results: list[int] = []
    await drain(lanes_plan(range(4), inner, 4), results.append)
    assert (results, now()) == ([0, 0, 1, 3], 3)


async def test_rule_r4_a_cancel_ends_nested_runs_from_the_inside() -> None:
    probe = Probe()

    async def inner(_: int) -> None:
        await drain(lanes_plan([10.0] * 3, probe), lambda _: None)

    running = asyncio.create_task(drain(lanes_plan(range(3), inner), lambda _: None))
    await asyncio.sleep(1)
    running.cancel()
    await raised_by(running)
    assert now() == 1 + CLEAN_UP
    assert len(probe.cleaned) == 4
    assert_only_the_caller_runs()


async def test_rule_313_nothing_is_kept_of_what_was_handed_over() -> None:
    class Result:
        pass

    async def mapper(_: int) -> Result:
        return Result()

    results: list[Result] = []
    run = await drain(lanes_plan(range(3), mapper), results.append)
    watched = [weakref.ref(result) for result in results]
    results.clear()
    gc.collect()
    assert run.finished
    assert [reference() for reference in watched] == [None] * 3


async def test_rule_313_items_are_not_kept_while_the_run_goes_on() -> None:
    """An endless run stays as small as its window."""

    class Result:
        pass

    async def mapper(_: int) -> Any:
        return Result()

    watched: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def on_next(result: Any) -> None:
        watched.append(weakref.ref(result))
        alive.append(sum(reference() is not None for reference in watched))

    await drain(lanes_plan(range(200), mapper, 2), on_next)
    assert max(alive) <= 2
    await drain(lanes_plan([], same), on_next)
