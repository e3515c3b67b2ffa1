"""Observables between the engine's own parts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.observer import AutoDetachObserver

from nadoo_flow.streams import Plan, Subscription, emit, flat_map, observe
from nadoo_flow.streams.direct import Direct
from tests.work import Mapped

from ..stand_ins import assert_only_the_caller_runs
from .runs import Seen


def subscribed_to() -> tuple[Direct[int], list[abc.ObserverBase[int]]]:
    observers: list[abc.ObserverBase[int]] = []

    def subscribe(
        observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        observers.append(observer)
        return Disposable()

    return Direct(subscribe), observers


async def test_an_observer_is_subscribed_as_it_is() -> None:
    source, observers = subscribed_to()
    seen = Seen()
    source.subscribe(seen)
    assert observers == [seen]


async def test_functions_are_guarded_as_anywhere_in_rx() -> None:
    source, observers = subscribed_to()
    values: list[int] = []
    subscription = source.subscribe(values.append)
    (observer,) = observers
    assert isinstance(observer, AutoDetachObserver)
    observer.on_next(1)
    subscription.dispose()
    observer.on_next(2)
    assert values == [1]


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_108_lanes_that_were_disposed_take_nothing_from_a_stubborn_item(
    isolate: Any,
) -> None:
    """The first lanes swallow their cancel, and emit into the second ones, which nobody wants."""
    mapped: list[int] = []

    async def stubborn(indexed: tuple[int, int]) -> int:
        try:
            await asyncio.sleep(indexed[1])
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return indexed[1]

    async def noted(value: int) -> int:
        mapped.append(value)
        return value

    def build(run: Subscription) -> Observable[int]:
        first = flat_map(run, Mapped(stubborn), 3, isolate)
        second = flat_map(run, Mapped(noted), 3, isolate)
        rest: Observable[int] = Observable(lambda observer, scheduler=None: Disposable())
        # What merge() waits for keeps the run alive after take() has disposed of the lanes.
        return emit(run, [1, 5, 5]).pipe(first, second, ops.take(1), ops.merge(rest))

    seen = Seen()
    run = observe(Plan(build, 3)).subscribe(seen)
    await asyncio.sleep(10)
    assert (seen.values, mapped) == ([1], [1])
    run.dispose()
    await asyncio.sleep(0)
    assert_only_the_caller_runs()
