"""The operator that gets many outputs out of each item, and pulls them within the demand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from ..direct import CallingObserver, Direct, Indexed
from ..many_work import ManyWork
from ..places import Places
from ..subscription import Subscription
from ..work import Work
from .flat_map import Isolation, flat_map
from .key_order import Keys
from .pulling import Pulling
from .pulling_drain import PullingDrain

T = TypeVar("T")
R = TypeVar("R")


def flat_map_many(
    run: Subscription,
    work: ManyWork[T],
    max_concurrent: int,
    isolate: Isolation = "context",
    *,
    ordered: bool = False,
    keys: Keys[T] | None = None,
    wrap: Callable[[Work[T, None]], Work[T, None]] = lambda work: work,
    with_place: bool = True,
    get_index: Callable[[int, T], int] | None = None,
    prepare: Callable[[Any], R] | None = None,
    drop_unstarted: Callable[[int], None] | None = None,
) -> Callable[[Observable[T]], Observable[Indexed[R]]]:
    """Emit the outputs of the items, numbered anew, from ``max_concurrent`` items at a time.

    Each output counts as outstanding. An item passes its own place in the window on to its first
    output, and waits for another before the next is pulled. So that an operator behind this one can
    always go on, each such operator has one place in the window that those before it leave free.

    Args:
        run: The run that the operator belongs to.
        work: Opens the outputs of an item when a lane is free for it.
        max_concurrent: Most items at a time.
        isolate: ``"task"`` gives each item an asyncio task of its own as well.
        ordered: Emit all outputs of an item before those of the next. The items must come in order.
            Later ones go ahead as far as the window allows.
        keys: Finds the key of each item, if all outputs of an item are to be pulled before those of
            the next one of an equal key.
        wrap: Wraps the work on an item as a whole.
        with_place: Whether each item has a place in the window when it comes.
        get_index: Makes the index of an output of its number and its item; the number by default.
        prepare: Makes what is emitted of an output when it is pulled; what it raises is an error of
            the item.
        drop_unstarted: As for :func:`flat_map`.
    """
    margin = run.reserve_place()

    def operator(source: Observable[T]) -> Observable[Indexed[R]]:
        def subscribe(
            observer: abc.ObserverBase[Indexed[R]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            places = Places(run, margin, ordered=ordered)
            pulling = Pulling(
                run,
                work,
                observer.on_next,
                places,
                ordered=ordered,
                with_place=with_place,
                get_index=get_index,
                prepare=prepare,
            )
            run.add_taker(places.hand_out)
            lanes = flat_map(
                run,
                wrap(pulling),
                max_concurrent,
                isolate,
                keys,
                drop_unstarted=drop_unstarted,
            )
            run.draining.add_part(PullingDrain(pulling, is_first=drop_unstarted is not None))
            # With keys the items start in another order.
            items = source.pipe(pulling.expect) if ordered and keys is not None else source
            ends = CallingObserver[None](
                _discard,
                lambda error: pulling.end_with(partial(observer.on_error, error)),
                lambda: pulling.end_with(observer.on_completed),
            )
            upstream = items.pipe(lanes).subscribe(ends, scheduler=scheduler)
            return CompositeDisposable(Disposable(pulling.stop), upstream)

        return Direct(subscribe)

    return operator


def _discard(end: None) -> None:
    """Take the end of an item, which is no output."""
