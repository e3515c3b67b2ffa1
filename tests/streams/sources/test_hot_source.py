"""Observables as sources: they push when they like, from any thread."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from nadoo_flow.streams import (
    BUFFER,
    Buffering,
    BufferOverflowError,
    CloseableAsyncIterator,
    OverflowStrategy,
    Plan,
    Subscription,
    as_source,
    drain,
    emit,
    flat_map,
    observe,
)
from nadoo_flow.testing import VirtualTimeLoop
from tests.work import Mapped

from ...stand_ins import assert_only_the_caller_runs, observed
from ..runs import Seen, caught_by_loop, lanes_plan, never, same, sleeping, started, values_of

in_real_time = pytest.mark.asyncio(loop_factories=["real"])
"""For tests with threads, which know nothing of virtual time."""

TOO_LONG = 20
"""Seconds after which a test with threads gives up; it is never waited for."""


def buffered_plan(source: Observable[int], limit: int, overflow: OverflowStrategy) -> Plan[int]:
    """Plan to emit the values of an Observable out of a small buffer."""

    def build(run: Subscription) -> Observable[int]:
        return emit(run, source, Buffering(limit, overflow)).pipe(ops.map(itemgetter(1)))

    return Plan(build, 10)


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


# --- Demand ---


async def test_rule_101_items_wait_in_the_buffer_until_there_is_demand() -> None:
    subject: Subject[int] = Subject()
    run, seen = started(Plan(values_of(subject), 1, 4))
    for item in range(10):
        subject.on_next(item)
    await asyncio.sleep(1)
    assert (seen.values, run.pulled, run.outstanding) == ([0, 1, 2, 3], 4, 4)
    run.release(3)
    assert (seen.values, run.outstanding) == (list(range(7)), 4)
    run.cancel()


def test_an_observable_is_a_source_as_it_is() -> None:
    subject: Subject[int] = Subject()
    assert as_source(subject, "inputs") is subject


async def test_rule_102_an_observable_that_only_completes_comes_to_its_end() -> None:
    run, seen = started(lanes_plan(rx.empty()))
    await run.join()
    assert (seen.values, seen.ends) == ([], ["completed"])


async def test_rule_105_completion_drains_what_has_arrived() -> None:
    subject: Subject[int] = Subject()
    run, seen = started(lanes_plan(subject, sleeping, 1, window=100))
    for item in range(5):
        subject.on_next(item)
    subject.on_completed()
    await run.join()
    assert (seen.values, seen.ends, seen.ended_at) == ([0, 1, 2, 3, 4], ["completed"], 5)


async def test_items_of_a_hot_source_are_worked_on_as_they_come() -> None:
    subject: Subject[int] = Subject()
    run, seen = started(lanes_plan(subject, sleeping, 2))
    for item in range(3):
        await asyncio.sleep(10)
        subject.on_next(item)
    await asyncio.sleep(10)
    assert (seen.values, seen.times) == ([0, 1, 2], [11, 21, 31])
    run.cancel()


@pytest.mark.parametrize(
    "error", [OSError("broken"), StopIteration("broken"), queue.Empty(), LookupError()]
)
async def test_rule_104_an_error_comes_after_what_has_arrived(error: Exception) -> None:
    subject: Subject[int] = Subject()
    run, seen = started(lanes_plan(subject, sleeping, 1, window=100))
    for item in range(3):
        subject.on_next(item)
    subject.on_error(error)
    await run.join()
    assert (seen.values, seen.ends, seen.ended_at) == ([0, 1, 2], [error], 3)


async def test_rule_104_an_observable_that_cannot_be_subscribed_to_is_an_error_of_the_run() -> None:
    error = OSError("no connection")

    def subscribe(
        observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        raise error

    run, seen = started(lanes_plan(Observable(subscribe)))
    await run.join()
    assert seen.ends == [error]


# --- Beginning and leaving ---


@pytest.mark.parametrize("source", [rx.of(1, 2, 3), rx.from_iterable([1, 2, 3])])
async def test_rule_109_what_an_observable_emits_at_once_comes_later(source: Any) -> None:
    run, seen = started(lanes_plan(source))
    assert (seen.values, seen.ends) == ([], [])
    await run.join()
    assert (seen.values, seen.ends) == ([1, 2, 3], ["completed"])


async def test_rule_110_each_run_subscribes_for_itself() -> None:
    subject: Subject[int] = Subject()
    observable = observe(lanes_plan(subject, same))
    early, late = list[int](), list[int]()
    first = asyncio.ensure_future(observed(observable, early))
    await asyncio.sleep(1)
    subject.on_next(1)
    second = asyncio.ensure_future(observed(observable, late))
    await asyncio.sleep(1)
    subject.on_next(2)
    subject.on_completed()
    assert [await first, await second] == [None, None]
    assert (early, late) == ([1, 2], [2])


async def test_rule_206_take_unsubscribes_from_a_hot_source() -> None:
    subject, seen = Subject[int](), Seen()
    observe(lanes_plan(subject)).pipe(ops.take(2)).subscribe(seen)
    assert len(subject.observers) == 1
    for item in range(5):
        subject.on_next(item)
    await asyncio.sleep(1)
    assert (seen.values, seen.ends) == ([0, 1], ["completed"])
    assert subject.observers == []
    assert_only_the_caller_runs()


async def test_rule_208_signals_of_a_hot_source_after_the_cancel_are_discarded() -> None:
    observers: list[abc.ObserverBase[int]] = []

    def subscribe(
        observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        observers.append(observer)
        return Disposable()  # it never stops

    logged = caught_by_loop()
    run, seen = started(lanes_plan(Observable(subscribe), sleeping))
    observers[0].on_next(1)
    run.cancel()
    observers[0].on_next(2)
    await run.join()
    observers[0].on_next(3)
    observers[0].on_error(OSError("too late"))
    await asyncio.sleep(5)
    assert (seen.values, seen.ends, logged) == ([], [], [])


async def test_rule_108_a_hot_source_is_left_when_its_run_is_cancelled() -> None:
    subject: Subject[int] = Subject()
    run, seen = started(lanes_plan(subject, sleeping))
    subject.on_next(1)
    await asyncio.sleep(0)
    subject.on_next(2)
    run.cancel()
    assert subject.observers == []
    subject.on_next(3)
    subject.on_completed()
    await run.join()
    await asyncio.sleep(5)
    assert (seen.values, seen.ends) == ([], [])


async def test_rule_313_a_failed_run_has_left_its_hot_source() -> None:
    subject: Subject[int] = Subject()
    run, _ = started(lanes_plan(subject))
    run.fail(OSError("broken"))
    await run.join()
    assert subject.observers == []


# --- Overflow ---


@pytest.mark.parametrize(
    ("overflow", "values", "dropped"),
    [
        (OverflowStrategy.DROP_OLDEST, [7, 8, 9], 7),
        (OverflowStrategy.DROP_NEWEST, [0, 1, 2], 7),
        (OverflowStrategy.BUFFER, list(range(10)), 0),
    ],
)
async def test_a_strategy_drops_and_counts_what_the_buffer_cannot_hold(
    overflow: OverflowStrategy, values: list[int], dropped: int
) -> None:
    subject: Subject[int] = Subject()
    run, seen = started(buffered_plan(subject, 3, overflow))
    for item in range(10):
        subject.on_next(item)
    subject.on_completed()
    await run.join()
    assert (seen.values, seen.ends, run.dropped) == (values, ["completed"], dropped)


async def test_an_overflow_is_an_error_by_default_after_what_had_arrived() -> None:
    subject: Subject[int] = Subject()
    run, seen = started(buffered_plan(subject, 3, Buffering().overflow))
    for item in range(10):
        subject.on_next(item)
    assert subject.observers == []
    await run.join()
    (error,) = seen.ends
    assert (seen.values, run.dropped) == ([0, 1, 2], 0)
    assert isinstance(error, BufferOverflowError)
    assert str(error) == (
        "an Observable emitted while 3 of its items were still waiting; "
        "raise buffer=, choose another overflow=, or slow the Observable down"
    )


async def test_an_overflow_is_not_forgotten_when_the_observable_completes() -> None:
    """As one does that emits all it has within ``subscribe()``."""

    def subscribe(
        observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        for item in range(10):
            observer.on_next(item)
        observer.on_completed()
        return Disposable()

    run, seen = started(buffered_plan(Observable(subscribe), 3, OverflowStrategy.ERROR))
    await run.join()
    assert seen.values == [0, 1, 2]
    assert [type(end) for end in seen.ends] == [BufferOverflowError]


async def test_an_iterator_counts_what_was_dropped() -> None:
    subject: Subject[int] = Subject()
    iterator = CloseableAsyncIterator(buffered_plan(subject, 3, OverflowStrategy.DROP_OLDEST))
    assert iterator.dropped == 0
    first = asyncio.ensure_future(anext(iterator))
    await asyncio.sleep(0)
    for item in range(10):
        subject.on_next(item)
    assert (await first, iterator.dropped) == (7, 7)
    await iterator.aclose()
    assert iterator.dropped == 7


@pytest.mark.parametrize("overflow", OverflowStrategy)
async def test_what_is_taken_in_time_does_not_overflow(overflow: OverflowStrategy) -> None:
    subject, results = Subject[int](), list[int]()
    running = asyncio.create_task(drain(buffered_plan(subject, 1, overflow), results.append))
    for item in range(100):
        await asyncio.sleep(0)
        subject.on_next(item)
        await asyncio.sleep(0)
    subject.on_completed()
    run = await running
    assert (results, run.dropped) == (list(range(100)), 0)


async def test_the_buffer_has_room_for_65536_items_by_default() -> None:
    subject: Subject[int] = Subject()
    run, _ = started(lanes_plan(subject, never, 1))
    for item in range(BUFFER):
        subject.on_next(item)
    assert len(subject.observers) == 1
    subject.on_next(BUFFER)
    assert (BUFFER, subject.observers) == (65_536, [])
    run.cancel()
    await run.join()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, "buffer must be at least 1, got 0"),
        ((True,), TypeError, "buffer must be a positive int, got True (bool)"),
        ((5, "error"), TypeError, "overflow must be an OverflowStrategy, got 'error' (str)"),
    ],
)
def test_a_wrong_buffering_is_named(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        Buffering(*arguments)
    assert str(raised.value) == message


# --- Foreign threads ---


@in_real_time
async def test_rule_r8_a_foreign_thread_wakes_a_loop_that_waits() -> None:
    subject, taken = Subject[int](), threading.Semaphore(0)
    iterator = CloseableAsyncIterator(lanes_plan(subject))

    def send() -> None:
        # Each item waits for the one before, so the loop has nothing else that could wake it.
        for item in range(100):
            taken.acquire(timeout=TOO_LONG)
            subject.on_next(item)
        taken.acquire(timeout=TOO_LONG)
        subject.on_completed()

    results: list[int] = []
    async with asyncio.timeout(TOO_LONG), iterator:
        first = asyncio.ensure_future(anext(iterator))
        await asyncio.sleep(0)
        thread = in_thread(send)
        taken.release()
        results.append(await first)
        taken.release()
        async for item in iterator:
            results.append(item)
            taken.release()
    thread.join()
    assert results == list(range(100))


@in_real_time
@pytest.mark.parametrize("error", [None, OSError("broken")])
async def test_rule_r8_the_end_from_a_foreign_thread_wakes_a_loop_that_waits(
    error: Exception | None,
) -> None:
    subject: Subject[int] = Subject()
    running = asyncio.create_task(drain(lanes_plan(subject), lambda _: None))
    await asyncio.sleep(0)

    def send() -> None:
        subject.on_completed() if error is None else subject.on_error(error)

    thread = in_thread(send)
    async with asyncio.timeout(TOO_LONG):
        (outcome,) = await asyncio.gather(running, return_exceptions=True)
    thread.join()
    assert outcome is error or isinstance(outcome, Subscription)


@in_real_time
async def test_rule_r8_many_threads_lose_no_item_and_keep_their_order() -> None:
    subject: Subject[tuple[int, int]] = Subject()
    results: list[tuple[int, int]] = []
    inside: list[object] = []
    overlaps: list[object] = []
    home = threading.get_ident()

    def on_next(value: tuple[int, int]) -> None:
        overlaps.extend(inside)
        inside.append(value)
        assert threading.get_ident() == home
        results.append(value)
        inside.clear()

    running = asyncio.create_task(drain(lanes_plan(subject, same, 1), on_next))
    await asyncio.sleep(0)
    each = 5000

    def send(name: int) -> None:
        for number in range(each):
            subject.on_next((name, number))

    def send_all() -> None:
        threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        subject.on_completed()

    thread = in_thread(send_all)
    async with asyncio.timeout(TOO_LONG):
        run = await running
    thread.join()
    assert (run.pulled, run.dropped, overlaps) == (4 * each, 0, [])
    for name in range(4):
        assert [number for sender, number in results if sender == name] == list(range(each))


@in_real_time
@pytest.mark.parametrize("overflow", [OverflowStrategy.DROP_OLDEST, OverflowStrategy.DROP_NEWEST])
async def test_rule_r8_each_item_of_a_thread_is_delivered_or_counted_as_dropped(
    overflow: OverflowStrategy,
) -> None:
    subject, results = Subject[int](), list[int]()

    def build(run: Subscription) -> Observable[int]:
        items = emit(run, subject, Buffering(5, overflow)).pipe(ops.map(itemgetter(1)))
        return items.pipe(flat_map(run, Mapped(same), 1))

    running = asyncio.create_task(drain(Plan(build, 1), results.append))
    await asyncio.sleep(0)

    def send() -> None:
        for item in range(5000):
            subject.on_next(item)
        subject.on_completed()

    thread = in_thread(send)
    async with asyncio.timeout(TOO_LONG):
        run = await running
    thread.join()
    assert len(results) + run.dropped == 5000
    assert results == sorted(results)


def test_rule_r8_a_signal_to_a_closed_loop_raises_in_its_sender() -> None:
    subject, loop = Subject[int](), VirtualTimeLoop()
    raised: list[BaseException] = []

    async def start() -> None:
        started(lanes_plan(subject))

    def send() -> None:
        try:
            subject.on_next(1)
        except RuntimeError as error:
            raised.append(error)

    loop.run_until_complete(start())
    loop.close()
    in_thread(send).join()
    in_thread(send).join()
    assert len(raised) == 2
