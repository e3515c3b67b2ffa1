"""The operator that works concurrently: flat_map with a limit on its concurrency."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from ..direct import Direct
from ..subscription import Subscription
from ..timed_context import OnHeld
from ..work import InOwnTask, Work
from .key_order import KeyOrder, Keys
from .lane_drain import LaneDrain
from .lanes import Lanes

T = TypeVar("T")
R = TypeVar("R")

Isolation: TypeAlias = Literal["context", "task"]
"""What each item has of its own: a copy of the context variables, or a task as well."""


def flat_map(
    run: Subscription,
    work: Work[T, R],
    max_concurrent: int,
    isolate: Isolation = "context",
    keys: Keys[T] | None = None,
    on_held: OnHeld | None = None,
    drop_unstarted: Callable[[int], None] | None = None,
) -> Callable[[Observable[T]], Observable[R]]:
    """Work on the items, at most ``max_concurrent`` at a time, and emit results as they complete.

    Instead of a task per item there are up to ``max_concurrent`` lanes, each a task that takes the
    next item when it is free. A lane does the work on each item in a copy of the run's context, so
    a context variable that one item sets is not seen by the next.

    What the work raises ends the whole run. When the source ends, by completion or by an error,
    the items that it had emitted are finished first.

    Args:
        run: The run that the operator belongs to.
        work: Started when a lane is free for the item, never earlier.
        max_concurrent: Most items at a time.
        isolate: ``"task"`` gives each item an asyncio task of its own as well.
        keys: Finds the key of each item, if items of equal key are to be worked on one after the
            other, in the order in which they come.
        on_held: Called with the seconds for which one step of the work held the event loop. Steps
            are timed only where the loop seems to be held, so the first ones may be missed.
        drop_unstarted: Called with the number of items that are not started because the run is
            drained. By default all items that come are finished.
    """
    isolated = InOwnTask(work) if isolate == "task" else work

    def operator(source: Observable[T]) -> Observable[R]:
        def subscribe(
            observer: abc.ObserverBase[R], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            eager = isolate == "task"
            if keys is None:
                queue: deque[T] = deque()
                lanes = Lanes(
                    run,
                    isolated,
                    max_concurrent,
                    observer,
                    queue,
                    queue.popleft,
                    on_held,
                    eager=eager,
                )
                run.draining.add_part(LaneDrain(run, lanes, drop_unstarted))
                upstream = source.subscribe(lanes, scheduler=scheduler)
                return CompositeDisposable(upstream, Disposable(lanes.dispose))
            order = KeyOrder(keys, isolated, run.context.copy)
            in_order = Lanes(
                run, order, max_concurrent, observer, order.ready, order.take, on_held, eager=eager
            )
            run.draining.add_part(LaneDrain(run, in_order, drop_unstarted, order.stop))
            upstream = source.subscribe(order.pass_on_to(in_order), scheduler=scheduler)
            return CompositeDisposable(
                upstream, Disposable(order.dispose), Disposable(in_order.dispose)
            )

        return Direct(subscribe)

    return operator
