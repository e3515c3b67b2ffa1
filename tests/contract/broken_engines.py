"""Engines in the place of ``flat_map`` that break one rule each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from reactivex import Observable, abc
from reactivex import operators as ops

from nadoo_flow.streams import Isolation, Subscription, flat_map
from tests.work import Mapped

Mapper: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]
Operator: TypeAlias = Callable[[Observable[Any]], Observable[Any]]
Engine: TypeAlias = Callable[[Subscription, Mapper, int, Isolation], Operator]


def sound(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Be the engine itself, which breaks none."""
    return flat_map(run, Mapped(mapper), limit, isolate)


def serial(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Do one item after the other, whatever the limit."""
    return flat_map(run, Mapped(mapper), 1, isolate)


def limitless(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Do all items at the same time, whatever the limit."""
    return flat_map(run, Mapped(mapper), 1000, isolate)


def forgetful(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Drop the last result, and settle it."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        results = source.pipe(flat_map(run, Mapped(mapper), limit, isolate))
        return results.pipe(ops.skip_last(1), ops.do_action(on_completed=run.release))

    return operator


def leaky(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Let go of the tasks of items when they are cancelled."""

    async def let_go(item: Any) -> Any:
        return await asyncio.shield(asyncio.ensure_future(mapper(item)))

    return flat_map(run, Mapped(let_go), limit, isolate)


def greedy(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Take a permit of its own for each item and never give it back."""

    async def keeping(item: Any) -> Any:
        run.outstanding += 1
        return await mapper(item)

    return flat_map(run, Mapped(keeping), limit, isolate)


def generous(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Settle items that nobody has taken yet."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        results = source.pipe(flat_map(run, Mapped(mapper), limit, isolate))
        return results.pipe(ops.do_action(lambda _: run.release()))

    return operator


def hasty(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Complete with the source and not with the last lane."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            told = source.pipe(ops.do_action(on_completed=observer.on_completed))
            return told.pipe(flat_map(run, Mapped(mapper), limit, isolate)).subscribe(observer)

        return Observable(subscribe)

    return operator


def eager(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Call the mapper for each item at once, and only await within the limit."""

    async def awaiting(work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    def operator(source: Observable[Any]) -> Observable[Any]:
        made: list[Coroutine[Any, Any, Any]] = []
        run.add_cleanup(partial(_close_all, made))
        lanes = flat_map(run, Mapped(awaiting), limit, isolate)
        return source.pipe(ops.map(mapper), ops.do_action(made.append), lanes)

    return operator


async def _close_all(made: list[Coroutine[Any, Any, Any]]) -> None:
    for work in made:
        work.close()


def naive(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Put plain workers on a queue: one context for each, and no thought of others."""

    def operator(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            queue: deque[Any] = deque()
            workers = 0
            ended = False

            async def worker() -> None:
                nonlocal workers
                while queue and not run.stopped:
                    observer.on_next(await mapper(queue.popleft()))
                workers -= 1
                complete()

            def on_next(item: Any) -> None:
                nonlocal workers
                queue.append(item)
                if workers < limit:
                    workers += 1
                    run.tasks.spawn_lane(worker)

            def on_completed() -> None:
                nonlocal ended
                ended = True
                complete()

            def complete() -> None:
                if ended and not workers:
                    observer.on_completed()

            return source.subscribe(on_next, observer.on_error, on_completed)

        return Observable(subscribe)

    return operator


def patient(run: Subscription, mapper: Mapper, limit: int, isolate: Isolation) -> Operator:
    """Keep an error secret until the source has ended."""

    async def or_error(item: Any) -> Any:
        try:
            return await mapper(item)
        except Exception as error:
            return error

    def raised(result: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    def operator(source: Observable[Any]) -> Observable[Any]:
        lanes = flat_map(run, Mapped(or_error), limit, isolate)
        return source.pipe(
            lanes, ops.to_list(), ops.flat_map(lambda results: results), ops.map(raised)
        )

    return operator
