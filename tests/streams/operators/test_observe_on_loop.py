"""Signals from any thread, in the order of the calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from nadoo_flow.streams import Plan, Subscription, observe, observe_on_loop
from nadoo_flow.streams.loop_thread import call_soon
from nadoo_flow.testing import advance

from ...stand_ins import now
from ..runs import Seen, caught_by_loop, never, started


def relayed(source: Observable[Any]) -> tuple[Subscription, Seen]:
    """Start a run that emits what a source emits, brought to the loop."""
    return started(Plan(lambda run: source.pipe(observe_on_loop(run)), 1))


def in_thread(function: Callable[..., object], *arguments: Any) -> list[BaseException]:
    """Call a function in a thread until it returns; return what it raised."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function(*arguments)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised


async def test_signals_of_the_loops_thread_pass_at_once() -> None:
    subject = Subject[int]()
    run, seen = relayed(subject)
    subject.on_next(1)
    assert (seen.values, run.outstanding) == ([1], 1)


async def test_rule_r13_a_later_signal_of_the_loop_does_not_overtake_one_of_a_thread() -> None:
    subject = Subject[int]()
    run, seen = relayed(subject)
    in_thread(subject.on_next, 1)
    assert seen.values == []
    subject.on_next(2)
    assert seen.values == [1, 2]
    in_thread(subject.on_next, 3)
    subject.on_completed()
    await run.join()
    assert (seen.values, seen.ends) == ([1, 2, 3], ["completed"])
    assert run.outstanding == 3


@pytest.mark.parametrize("error", [None, OSError("unplugged")])
async def test_rule_r13_an_end_that_comes_from_a_thread_waits_its_turn(
    error: OSError | None,
) -> None:
    subject = Subject[int]()
    run, seen = relayed(subject)
    subject.on_next(1)
    in_thread(subject.on_next, 2)
    if error is None:
        in_thread(subject.on_completed)
    else:
        in_thread(subject.on_error, error)
    subject.on_next(3)
    await run.join()
    assert (seen.values, seen.ends) == ([1, 2], [error or "completed"])


@pytest.mark.asyncio(loop_factories=["real"])
async def test_rule_r13_what_many_threads_emit_keeps_the_order_of_each() -> None:
    count, each = 8, 500
    sources = [Subject[tuple[int, int]]() for _ in range(count)]
    idents = set[int]()

    def emit(number: int) -> None:
        for value in range(each):
            sources[number].on_next((number, value))
        sources[number].on_completed()

    def build(run: Subscription) -> Observable[Any]:
        # Without the lock of rx.merge() the threads meet in the operator itself.
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            for source in sources:
                source.subscribe(observer.on_next, observer.on_error)
            return Disposable()

        return Observable(subscribe).pipe(
            observe_on_loop(run),
            ops.do_action(lambda _: idents.add(threading.get_ident())),
            ops.take(count * each),
        )

    run, seen = started(Plan(build, 1, count * each))
    threads = [threading.Thread(target=emit, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(10):
        await run.join()
    for thread in threads:
        thread.join()
    for number in range(count):
        assert [value for own, value in seen.values if own == number] == list(range(each))
    assert len(seen.values) == run.outstanding == count * each
    assert idents == {threading.get_ident()}


async def test_rule_103_what_is_emitted_while_a_signal_passes_comes_behind_it() -> None:
    subject, log = Subject[int](), list[str]()

    def emit_more(value: int) -> None:
        log.append(f"begin {value}")
        if value == 1:
            in_thread(subject.on_next, 2)
            subject.on_next(3)
            subject.on_completed()
        log.append(f"end {value}")

    run, seen = started(
        Plan(lambda run: subject.pipe(observe_on_loop(run), ops.do_action(emit_more)), 1)
    )
    subject.on_next(1)
    await run.join()
    assert log == ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]
    assert (seen.values, seen.ends) == ([1, 2, 3], ["completed"])


async def test_rule_101_what_waits_is_outstanding() -> None:
    """Otherwise a source that is settled by its operators would be pulled without an end."""
    subject, outstanding = Subject[int](), list[int]()

    def emit_more(value: int) -> None:
        if value == 1:
            subject.on_next(2)
            subject.on_next(3)
            outstanding.append(run.outstanding)

    run, seen = started(
        Plan(lambda run: subject.pipe(observe_on_loop(run), ops.do_action(emit_more)), 1)
    )
    subject.on_next(1)
    assert (outstanding, seen.values) == ([3], [1, 2, 3])
    run.cancel()


@pytest.mark.parametrize("from_thread", [False, True])
async def test_rule_r28_with_a_margin_items_wait_until_there_is_room(from_thread: bool) -> None:
    subject = Subject[int]()
    run, seen = started(Plan(lambda run: subject.pipe(observe_on_loop(run, 1)), 1, 3))
    for number in range(5):
        in_thread(subject.on_next, number) if from_thread else subject.on_next(number)
    subject.on_completed()
    await asyncio.sleep(0)
    assert (seen.values, run.outstanding) == ([0, 1], 2)
    run.release()
    assert (seen.values, run.outstanding) == ([0, 1, 2], 2)
    run.release(2)
    assert (seen.values, seen.ends) == ([0, 1, 2, 3, 4], ["completed"])


async def test_what_has_waited_passes_in_the_context_of_the_subscriber() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    subject = Subject[int]()
    passed = ops.map(lambda _: variable.get())
    run, seen = started(Plan(lambda run: subject.pipe(observe_on_loop(run, 1), passed), 1, 2))
    subject.on_next(0)
    subject.on_next(1)
    variable.set("that of the consumer")
    run.release()
    assert seen.values == ["unset", "unset"]


async def test_rule_109_what_is_emitted_in_subscribe_comes_after_it() -> None:
    run, seen = relayed(rx.create(lambda observer, _: observer.on_next(1) or Disposable()))
    assert seen.values == []
    await asyncio.sleep(0)
    assert seen.values == [1]
    run.cancel()


async def test_rule_108_nothing_passes_after_a_cancel() -> None:
    subject = Subject[int]()
    run, seen = relayed(subject)
    in_thread(subject.on_next, 1)
    run.cancel()
    subject.on_next(2)
    assert in_thread(subject.on_next, 3) == []
    await asyncio.sleep(1)
    assert (seen.values, seen.ends) == ([], [])


def test_rule_r8_each_signal_from_a_thread_raises_where_the_loop_is_closed() -> None:
    subject = Subject[int]()

    async def main() -> None:
        relayed(subject)

    asyncio.run(main())
    for _ in range(2):
        (error,) = in_thread(subject.on_next, 1)
        assert isinstance(error, RuntimeError)


def test_rule_107_a_thread_that_has_ended_the_run_need_not_wake_it() -> None:
    """The program may be over before it comes to do so."""

    async def main() -> Subscription:
        run, _ = relayed(rx.never())
        run.cancel()
        return run

    run = asyncio.run(main())
    assert in_thread(call_soon, run, run.cancel) == []


async def test_rule_r7_what_a_thread_has_emitted_does_not_hold_the_loop_up() -> None:
    subject, lags = Subject[int](), list[float]()

    def take_time(_: int) -> None:
        advance(0.001)

    run, seen = started(
        Plan(lambda run: subject.pipe(observe_on_loop(run), ops.do_action(take_time)), 1, 1000)
    )
    in_thread(lambda: [subject.on_next(number) for number in range(100)])
    while len(seen.values) < 100:
        before = now()
        await asyncio.sleep(0)
        lags.append(now() - before)
    assert seen.values == list(range(100))
    assert max(lags) < 0.006
    run.cancel()


@pytest.mark.parametrize("from_thread", [False, True])
async def test_what_an_observer_raises_fails_the_run_whoever_emits(from_thread: bool) -> None:
    subject, error = Subject[int](), OSError("broken")

    def fail(_: int) -> None:
        raise error

    def build(run: Subscription) -> Observable[Any]:
        relay = subject.pipe(observe_on_loop(run))
        return Observable(lambda *_: relay.subscribe(fail))

    run, seen = started(Plan(build, 1))
    if from_thread:
        in_thread(subject.on_next, 1)
    else:
        subject.on_next(1)
    await run.join()
    assert seen.ends == [error]


@pytest.mark.asyncio(loop_factories=["real"])
async def test_rule_r8_a_dispose_from_a_thread_wakes_the_loop() -> None:
    ended = asyncio.Event()

    async def work(run: Subscription) -> None:
        try:
            await never(run)
        finally:
            ended.set()

    def build(run: Subscription) -> Observable[Any]:
        run.tasks.spawn_lane(lambda: work(run))
        return rx.never()

    subscription = observe(Plan(build, 1)).subscribe()
    await asyncio.sleep(0)
    timer = threading.Timer(0.05, subscription.dispose)
    timer.start()
    async with asyncio.timeout(10):
        await ended.wait()
    timer.join()


def test_a_dispose_after_the_loop_was_closed_does_nothing() -> None:
    async def main() -> abc.DisposableBase:
        return observe(Plan(lambda _: rx.never(), 1)).subscribe()

    asyncio.run(main()).dispose()


async def test_nothing_is_logged_where_a_thread_ends_the_run() -> None:
    subject, logged = Subject[int](), caught_by_loop()
    run, seen = relayed(subject)
    in_thread(subject.on_completed)
    await run.join()
    assert (seen.ends, logged) == (["completed"], [])
