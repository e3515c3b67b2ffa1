"""The items of a run pass once."""

from __future__ import annotations

import asyncio
import threading
from operator import itemgetter
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.scheduler import NewThreadScheduler

from nadoo_flow.streams import (
    Plan,
    Subscription,
    allow_one_subscription,
    drain,
    emit,
    observe,
    observe_on_loop,
)

from ...stand_ins import assert_only_the_caller_runs, raised_by
from ..runs import Inputs, Seen, both_kinds, started

AGAIN = RuntimeError("once more")


def plan_of(source: Any, *operators: Any) -> Plan[Any]:
    """Plan to put the values of a source through operators that may subscribe to them once."""

    def build(run: Subscription) -> Observable[Any]:
        once = allow_one_subscription(run, lambda: AGAIN)
        values = emit(run, source).pipe(once, ops.map(itemgetter(1)))
        return values.pipe(*operators, observe_on_loop(run))

    return Plan(build, 1)


def _twice(values: Observable[Any]) -> Observable[Any]:
    return rx.zip(values, values)


@both_kinds
async def test_rule_r12_a_second_subscription_is_the_error_of_the_run(kind: str) -> None:
    inputs = Inputs(3)
    seen = list[int]()
    assert await raised_by(drain(plan_of(inputs.of(kind), _twice), seen.append)) is AGAIN
    assert seen == []
    assert_only_the_caller_runs()


@both_kinds
async def test_rule_r12_an_operator_cannot_catch_it_or_try_again_for_ever(kind: str) -> None:
    for again in (ops.retry(), ops.catch(rx.of(7)), ops.on_error_resume_next(rx.of(7))):
        plan = plan_of(Inputs(3).of(kind), ops.repeat(2), again)
        assert await raised_by(drain(plan, lambda _: None)) is AGAIN


async def test_rule_r12_an_end_that_needs_no_second_item_does_not_hide_it() -> None:
    run, seen = started(plan_of([], lambda values: values.pipe(ops.take_until(values))))
    await run.join()
    assert seen.ends == [AGAIN]


async def test_rule_109_the_error_does_not_come_in_subscribe() -> None:
    seen = Seen()
    observe(plan_of([1], _twice)).subscribe(seen)
    assert seen.ends == []
    await asyncio.sleep(0.1)
    assert seen.ends == [AGAIN]


async def test_rule_108_nor_after_a_dispose() -> None:
    seen = Seen()
    observe(plan_of([1], _twice)).subscribe(seen).dispose()
    await asyncio.sleep(0.1)
    assert (seen.values, seen.ends) == ([], [])


async def test_operators_that_do_not_subscribe_at_all_are_fine() -> None:
    seen = list[int]()
    run = await drain(plan_of(range(9), lambda _: rx.of(7)), seen.append)
    assert (seen, run.pulled) == ([7], 0)


@pytest.mark.asyncio(loop_factories=["real"])
@both_kinds
async def test_one_may_subscribe_from_another_thread(kind: str) -> None:
    seen, inputs = list[int](), Inputs(3)
    plan = plan_of(inputs.of(kind), ops.subscribe_on(NewThreadScheduler()))
    async with asyncio.timeout(10):
        await drain(plan, seen.append)
    assert (seen, inputs.closed) == ([0, 1, 2], 1)


@pytest.mark.asyncio(loop_factories=["real"])
async def test_rule_r12_a_second_subscription_may_come_from_another_thread() -> None:
    plan = plan_of(range(3), ops.subscribe_on(NewThreadScheduler()), _twice)
    async with asyncio.timeout(10):
        assert await raised_by(drain(plan, lambda _: None)) is AGAIN


async def test_what_is_disposed_of_in_another_thread_is_so_on_the_loop() -> None:
    run, seen = started(Plan(lambda run: rx.never(), 1))
    idents = list[int]()
    source = Observable[int](lambda *_: Disposable(lambda: idents.append(threading.get_ident())))
    subscription = source.pipe(allow_one_subscription(run, lambda: AGAIN)).subscribe(seen)
    thread = threading.Thread(target=subscription.dispose)
    thread.start()
    thread.join()
    assert idents == []
    await asyncio.sleep(1)
    assert idents == [threading.get_ident()]
    run.cancel()


@pytest.mark.asyncio(loop_factories=["real"])
@both_kinds
async def test_one_may_dispose_in_another_thread(kind: str) -> None:
    seen, inputs = list[int](), Inputs()
    plan = plan_of(inputs.of(kind), ops.observe_on(NewThreadScheduler()), ops.take(2))
    async with asyncio.timeout(10):
        await drain(plan, seen.append)
    assert (seen, inputs.closed) == ([0, 1], 1)
    assert_only_the_caller_runs()


async def test_one_that_is_disposed_of_before_it_could_subscribe_does_not() -> None:
    run, seen = started(Plan(lambda run: rx.never(), 1))
    items = emit(run, [1]).pipe(allow_one_subscription(run, lambda: AGAIN))
    thread = threading.Thread(target=items.subscribe, args=[seen])
    thread.start()
    thread.join()
    run.cancel()
    await asyncio.sleep(1)
    assert (seen.values, run.pulled) == ([], 0)


def test_rule_107_an_operator_that_is_late_finds_the_run_ended() -> None:
    late = list[Observable[Any]]()

    def keep(values: Observable[Any]) -> Observable[Any]:
        late.append(values)
        return rx.of(7)

    async def main() -> None:
        await drain(plan_of([1], keep), lambda _: None)

    asyncio.run(main())
    seen = Seen()
    late[0].subscribe(seen).dispose()
    assert (seen.values, seen.ends) == ([], [])
