"""A run as an async iterator that can be closed."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import reactivex as rx

from nadoo_flow.streams import CloseableAsyncIterator, Plan

from ...stand_ins import CLEAN_UP, Probe, assert_only_the_caller_runs, now, raised_by
from ..runs import (
    Inputs,
    both_kinds,
    lanes_plan,
    never,
    same,
    sleeping,
    values_of,
)

CLOSED = "^the iterator is closed; make a new one to run again$"


def iterate(source: Any, mapper: Any = same, max_concurrent: int = 2) -> Any:
    return CloseableAsyncIterator(lanes_plan(source, mapper, max_concurrent))


# --- Iterating ---


@both_kinds
async def test_it_yields_what_is_there_and_stops_after_the_last(kind: str) -> None:
    iterator = iterate(Inputs(5).of(kind), sleeping)
    assert [item async for item in iterator] == [0, 1, 2, 3, 4]
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
    assert_only_the_caller_runs()


@both_kinds
async def test_rule_201_the_run_starts_with_the_first_item_that_is_asked_for(kind: str) -> None:
    inputs = Inputs()
    iterator = iterate(inputs.of(kind))
    await asyncio.sleep(5)
    assert inputs.pulled == 0
    await anext(iterator)
    await asyncio.sleep(5)
    # One was taken, and a window is refilled at three quarters.
    assert inputs.pulled == 8
    await iterator.aclose()


@both_kinds
async def test_rule_205_an_iterator_that_is_iterated_again_goes_on_with_its_run(kind: str) -> None:
    inputs, taken = Inputs(10), list[int]()
    iterator = iterate(inputs.of(kind), max_concurrent=1)
    for length in (1, 4, 10):
        async for item in iterator:
            taken.append(item)
            if len(taken) == length:
                break
    assert [item async for item in iterator] == []
    assert taken == list(range(10))
    assert (inputs.pulled, inputs.closed) == (10, 1)


async def test_each_result_comes_as_soon_as_it_is_there() -> None:
    times: list[tuple[int, float]] = []

    async def mapper(seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    async for item in iterate([4, 1, 2], mapper, 3):
        times.append((item, now()))
    assert times == [(1, 1), (2, 2), (4, 4)]


async def test_its_repr_says_how_far_it_is() -> None:
    async with iterate([1, 1, 3], sleeping) as iterator:
        assert repr(iterator) == "<CloseableAsyncIterator: not begun>"
        await anext(iterator)
        await asyncio.sleep(0.5)
        expected = "3 pulled, 1 in work, 1 to be taken, running"
        assert repr(iterator) == f"<CloseableAsyncIterator: {expected}>"
        iterator.drain()
        expected = "3 pulled, 1 in work, 1 to be taken, drained"
        assert repr(iterator) == f"<CloseableAsyncIterator: {expected}>"
        assert [item async for item in iterator] == [1, 3]
        assert repr(iterator) == "<CloseableAsyncIterator: 3 pulled, ended>"
    assert repr(iterator) == "<CloseableAsyncIterator: closed>"


@both_kinds
async def test_rule_104_an_error_is_raised_after_all_that_was_finished(kind: str) -> None:
    error, taken = OSError("the source broke"), list[int]()
    iterator = iterate(Inputs(3, error).of(kind))

    async def take_all() -> None:
        async for item in iterator:
            taken.append(item)

    assert await raised_by(take_all()) is error
    assert taken == [0, 1, 2]
    assert_only_the_caller_runs()


async def test_rule_104_results_that_wait_are_taken_before_the_error() -> None:
    async def mapper(item: int) -> int:
        if item == 2:
            raise OSError("broken")
        return item

    iterator = iterate(range(10), mapper, 1)
    assert await anext(iterator) == 0
    await asyncio.sleep(10)
    assert await anext(iterator) == 1
    with pytest.raises(OSError, match="broken"):
        await anext(iterator)


async def test_an_error_that_would_end_the_loop_silently_is_wrapped() -> None:
    error = StopAsyncIteration("in a mapper")

    async def mapper(item: int) -> int:
        raise error

    with pytest.raises(RuntimeError, match="the run raised StopAsyncIteration") as raised:
        await anext(iterate([1], mapper))
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_rule_r4_a_fatal_error_comes_out_when_all_is_joined(
    fatal: type[BaseException],
) -> None:
    probe = Probe()

    async def mapper(item: int) -> None:
        if item == 1:
            await asyncio.sleep(1)
            raise fatal
        await probe(10.0)

    with pytest.raises(fatal):
        await anext(iterate(range(9), mapper))
    assert now() == 1 + CLEAN_UP
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_205_two_who_wait_for_the_same_item_are_an_error() -> None:
    iterator = iterate([1, 2], sleeping)
    first = asyncio.ensure_future(anext(iterator))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another __anext__ of this iterator is still waiting"):
        await anext(iterator)
    assert await first == 1
    assert await anext(iterator) == 2
    await iterator.aclose()


# --- Timeouts ---


async def test_who_finds_that_the_item_was_taken_meanwhile_waits_for_the_next() -> None:
    iterator = iterate([1, 2], sleeping, max_concurrent=1)
    waiter = asyncio.ensure_future(anext(iterator))
    await asyncio.sleep(0)
    # Here before the waiter is: it will be woken in the turn of the first item too.
    loop = asyncio.get_running_loop()
    taken: list[int] = []

    def take() -> None:
        try:
            iterator.__anext__().send(None)
        except StopIteration as done:
            taken.append(done.value)

    loop.call_at(1, lambda: loop.call_soon(lambda: loop.call_soon(take)))
    assert (await waiter, now()) == (2, 2)
    assert taken == [1]
    await iterator.aclose()


@both_kinds
async def test_rule_r5_a_timed_out_anext_loses_nothing(kind: str) -> None:
    taken: list[int] = []
    timeouts = 0
    iterator = iterate(Inputs(10).of(kind), sleeping, 3)
    for _ in range(100):
        try:
            async with asyncio.timeout(0.3):
                taken.append(await anext(iterator))
        except TimeoutError:
            timeouts += 1
        except StopAsyncIteration:
            break
    assert sorted(taken) == list(range(10))
    # An item takes one second, so three of the first tries are in vain for each of four rounds.
    assert timeouts >= 4 * 3


async def test_rule_r5_a_timeout_in_the_moment_of_an_arrival_loses_nothing() -> None:
    taken: list[int] = []
    iterator = iterate(range(20), sleeping, 2)
    for _ in range(100):
        waiting: asyncio.Future[Any] = asyncio.ensure_future(anext(iterator))
        await asyncio.sleep(1)
        waiting.cancel()
        # Whether the item or the cancel came first, one of them is what the waiter got.
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
        taken.extend([outcome] if isinstance(outcome, int) else [])
    assert taken == list(range(20))
    with pytest.raises(StopAsyncIteration):
        await anext(iterator)


async def test_rule_r5_a_cancel_at_every_turn_of_anext_loses_nothing() -> None:
    async def mapper(item: int) -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return item

    for turns in range(12):
        iterator = iterate(range(5), mapper)
        waiting = asyncio.ensure_future(anext(iterator))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
        first = [outcome] if isinstance(outcome, int) else []
        assert first + [item async for item in iterator] == [0, 1, 2, 3, 4]


# --- Closing ---


async def closing(iterator: Any) -> None:
    await iterator.aclose()


async def leaving_the_block(iterator: Any) -> None:
    async with iterator:
        await anext(iterator)


async def breaking(iterator: Any) -> None:
    async with iterator:
        async for _ in iterator:
            break


async def raising_in_the_body(iterator: Any) -> None:
    with pytest.raises(LookupError):
        async with iterator:
            async for _ in iterator:
                raise LookupError("in the body")


async def timing_out(iterator: Any) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), iterator:
            async for _ in iterator:
                pass


async def cancelled_from_outside(iterator: Any) -> None:
    async def consume() -> None:
        async with iterator:
            async for _ in iterator:
                await asyncio.sleep(100)

    consuming = asyncio.create_task(consume())
    await asyncio.sleep(2)
    consuming.cancel()
    assert isinstance(await raised_by(consuming), asyncio.CancelledError)


async def cancelled_again_while_it_cleans_up(iterator: Any) -> None:
    closing = asyncio.create_task(iterator.aclose())
    for _ in range(3):
        await asyncio.sleep(CLEAN_UP / 4)
        closing.cancel()
    assert isinstance(await raised_by(closing), asyncio.CancelledError)


async def closing_twice_at_once(iterator: Any) -> None:
    await asyncio.gather(iterator.aclose(), iterator.aclose())


@both_kinds
@pytest.mark.parametrize("isolate", ["context", "task"])
@pytest.mark.parametrize(
    "leave",
    [
        closing,
        leaving_the_block,
        breaking,
        raising_in_the_body,
        timing_out,
        cancelled_from_outside,
        cancelled_again_while_it_cleans_up,
        closing_twice_at_once,
    ],
)
async def test_rule_r4_however_it_is_left_nothing_is_left_behind(
    kind: str, isolate: Any, leave: Callable[[Any], Awaitable[None]]
) -> None:
    probe, inputs = Probe(), Inputs()

    async def mapper(item: int) -> int:
        if item > 1:
            await probe(10.0)
        return item

    plan = lanes_plan(inputs.of(kind), mapper, isolate=isolate)
    iterator = CloseableAsyncIterator(plan)
    assert await anext(iterator) == 0
    await asyncio.sleep(1)
    await leave(iterator)
    assert_only_the_caller_runs()
    assert len(probe.cleaned) == 2
    assert probe.finished == []
    assert inputs.closed == 1
    with pytest.raises(RuntimeError, match=CLOSED):
        await anext(iterator)


async def test_rule_305_closing_again_does_nothing() -> None:
    iterator = iterate(range(9), sleeping)
    await anext(iterator)
    for _ in range(3):
        await iterator.aclose()
    assert now() == 1


async def test_rule_208_results_that_wait_to_be_taken_are_discarded_by_a_close() -> None:
    iterator = iterate(range(100))
    await anext(iterator)
    await asyncio.sleep(5)
    await iterator.aclose()
    with pytest.raises(RuntimeError, match=CLOSED):
        await anext(iterator)
    assert_only_the_caller_runs()


async def test_an_iterator_that_was_closed_before_it_started_does_not_start() -> None:
    inputs = Inputs()
    iterator = iterate(inputs.sync())
    await iterator.aclose()
    with pytest.raises(RuntimeError, match=CLOSED):
        await anext(iterator)
    assert inputs.pulled == 0


async def test_an_iterator_that_was_closed_after_its_end_says_so() -> None:
    iterator = iterate([1])
    assert [item async for item in iterator] == [1]
    await iterator.aclose()
    with pytest.raises(RuntimeError, match=CLOSED):
        await anext(iterator)


async def test_who_waits_while_it_is_closed_is_told() -> None:
    iterator = iterate([1], never)
    waiting = asyncio.ensure_future(anext(iterator))
    await asyncio.sleep(1)
    await iterator.aclose()
    assert isinstance(error := await raised_by(waiting), RuntimeError)
    assert str(error) == CLOSED.strip("^$")


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_closing_from_inside_of_a_node_is_a_clear_error(isolate: Any) -> None:
    async def mapper(_: int) -> None:
        await iterator.aclose()

    iterator = CloseableAsyncIterator(lanes_plan([1], mapper, isolate=isolate))
    error = await raised_by(anext(iterator))
    assert isinstance(error, RuntimeError)
    await iterator.aclose()
    assert_only_the_caller_runs()


# --- Dropping ---


DROPPED = "an async iterator was dropped before its end, its run is being cancelled"


async def breaking_without_a_block(iterator: Any) -> None:
    async for _ in iterator:
        break


@both_kinds
async def test_rule_r4_a_dropped_handle_cancels_its_run_with_a_warning(kind: str) -> None:
    probe, inputs = Probe(), Inputs()

    async def mapper(item: int) -> int:
        if item:
            await probe(10.0)
        return item

    iterator = iterate(inputs.of(kind), mapper)
    await anext(iterator)
    await asyncio.sleep(1)
    held = [iterator]
    del iterator
    with pytest.warns(ResourceWarning, match=DROPPED):
        held.clear()
    await asyncio.sleep(3 * CLEAN_UP)
    assert len(probe.cleaned) == 2
    assert inputs.closed == 1
    assert_only_the_caller_runs()


async def test_rule_r4_a_break_without_a_block_cancels_the_run_with_a_warning() -> None:
    probe = Probe()

    async def mapper(item: int) -> int:
        if item:
            await probe(10.0)
        return item

    with pytest.warns(ResourceWarning, match=DROPPED):
        await breaking_without_a_block(iterate(range(9), mapper))
    await asyncio.sleep(2 * CLEAN_UP)
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_r4_a_handle_that_has_come_to_the_end_of_an_observable_can_be_dropped() -> None:
    probe = Probe()

    async def mapper(item: int) -> int:
        if item == 3:
            await probe(10.0)
        return item

    iterator = CloseableAsyncIterator(lanes_plan(rx.from_iterable(range(4)), mapper, window=2))
    # The third one leaves room in the window, where the end is found.
    assert [await anext(iterator) for _ in range(3)] == [0, 1, 2]
    held = [iterator]
    del iterator
    with pytest.warns(ResourceWarning, match=DROPPED):
        held.clear()
    await asyncio.sleep(2 * CLEAN_UP)
    probe.assert_cleaned()
    assert_only_the_caller_runs()


async def test_rule_r4_the_run_is_cancelled_also_where_the_warning_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    iterator = iterate(range(9), sleeping)
    await anext(iterator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del iterator
        gc.collect()
    await asyncio.sleep(0.5)
    assert_only_the_caller_runs()
    assert [type(it.exc_value) for it in unraisable] == [ResourceWarning]


async def dropped_unstarted(iterator: Any) -> None:
    """Nothing was asked for."""


async def dropped_after_the_end(iterator: Any) -> None:
    assert len([item async for item in iterator]) == 3


async def dropped_after_closing(iterator: Any) -> None:
    await anext(iterator)
    await iterator.aclose()


@pytest.mark.parametrize("use", [dropped_unstarted, dropped_after_the_end, dropped_after_closing])
async def test_dropping_an_iterator_that_has_no_run_is_no_matter(
    use: Callable[[Any], Awaitable[None]],
) -> None:
    # Warnings are errors here, also those that are raised while something is collected.
    iterator = iterate(range(3))
    await use(iterator)
    del iterator
    gc.collect()
    assert_only_the_caller_runs()


# --- What is kept ---


class Thing:
    """Something whose end can be watched."""


@pytest.mark.parametrize("end", ["exhausted", "closed"])
async def test_rule_313_results_and_nodes_are_not_kept_after_the_end(end: str) -> None:
    class Node:
        async def __call__(self, item: int) -> Thing:
            return Thing()

    async def use() -> list[weakref.ref[Any]]:
        node = Node()
        watched: list[weakref.ref[Any]] = [weakref.ref(node)]
        async with iterate(range(9), node) as iterator:
            async for thing in iterator:
                watched.append(weakref.ref(thing))
                if end == "closed":
                    break
        return watched

    watched = await use()
    gc.collect()
    assert len(watched) == (2 if end == "closed" else 10)
    assert [reference() for reference in watched] == [None] * len(watched)


async def test_rule_313_a_taken_item_is_not_kept() -> None:
    async def mapper(_: int) -> Thing:
        return Thing()

    iterator = iterate(range(9), mapper)
    async with iterator:
        thing = await anext(iterator)
        watched = weakref.ref(thing)
        del thing
        await asyncio.sleep(1)
        gc.collect()
        assert watched() is None


async def test_a_chain_without_lanes_can_be_iterated_too() -> None:
    iterator = CloseableAsyncIterator(Plan(values_of(range(50)), 1))
    assert [item async for item in iterator] == list(range(50))
