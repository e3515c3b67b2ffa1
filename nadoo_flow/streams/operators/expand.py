"""The operator that feeds the outputs of items back as items, until nothing new comes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable
from itertools import count
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from ..direct import CallingObserver, Direct, Indexed
from ..draining import DrainPart
from ..many_work import ManyWork
from ..subscription import Subscription
from ..work import Work, WrappedWork
from .flat_map import Isolation
from .flat_map_many import flat_map_many

T = TypeVar("T")

Keyed: TypeAlias = tuple[Hashable, T]


def expand(
    run: Subscription,
    work: ManyWork[Indexed[T]],
    max_concurrent: int,
    isolate: Isolation = "context",
    *,
    ordered: bool = False,
    get_key: Callable[[T], Hashable] | None = None,
    name_error: Callable[[Exception], Exception] = lambda error: error,
    max_items: int | None = None,
    wrap: Callable[[Work[Indexed[T], None]], Work[Indexed[T], None]] = lambda work: work,
    drop_unstarted: Callable[[int], None] | None = None,
) -> Callable[[Observable[Indexed[T]]], Observable[Indexed[T]]]:
    """Emit the items, and as items all outputs of theirs, numbered anew.

    An output is pulled when there is a place in the window for it, and is emitted at once. Then it
    waits as a plain value until a lane is free for its own outputs; there is no limit on how many
    wait. An item of the source waits in its place until a lane is free, unless they are ordered.

    When the run is drained, the outputs of items are emitted whose outputs are being pulled, and
    none of other items.

    Args:
        run: The run that the operator belongs to.
        work: Opens the outputs of an item when a lane is free for it.
        max_concurrent: Most items at a time.
        isolate: ``"task"`` gives each item an asyncio task of its own as well.
        ordered: Emit all outputs of an item before those of the next, and items of the source as
            they come.
        get_key: Returns the key of an item; one whose key was seen before is dropped.
        name_error: Makes the error that ends the run, if there is no key of an item of the source.
        max_items: How many items are emitted at most.
        wrap: Wraps the work on an item.
        drop_unstarted: Called with the number of items of the source that are not emitted because
            the run is drained. By default all that come are.
    """

    def operator(source: Observable[Indexed[T]]) -> Observable[Indexed[T]]:
        def subscribe(
            observer: abc.ObserverBase[Indexed[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            ahead = math.inf if ordered else max_concurrent
            expansion = _Expansion(
                run, observer, ahead, get_key, name_error, max_items, drop_unstarted
            )
            outputs: Callable[..., Observable[Indexed[Keyed[T]]]] = flat_map_many(
                run,
                work,
                max_concurrent,
                isolate,
                ordered=ordered,
                wrap=lambda pulling: _Counted(wrap(pulling), expansion.end_items),
                with_place=False,
                prepare=expansion.add_key,
                drop_unstarted=expansion.end_items,
            )
            return expansion.connect(source, outputs, scheduler)

        return Direct(subscribe)

    return operator


class _Expansion(DrainPart, Generic[T]):
    """Feeds items to the lanes, and their outputs back."""

    def __init__(
        self,
        run: Subscription,
        observer: abc.ObserverBase[Indexed[T]],
        ahead: float,
        get_key: Callable[[T], Hashable] | None,
        name_error: Callable[[Exception], Exception],
        max_items: int | None,
        drop_unstarted: Callable[[int], None] | None,
    ) -> None:
        self._drop_unstarted = drop_unstarted
        self._is_drained = False
        self._unstarted = 0
        self._run = run
        self._observer = observer
        self._ahead = ahead
        self._get_key = get_key
        self._name_error = name_error
        self._left = max_items
        self._numbers = count()
        self._seen: set[Hashable] = set()
        self._waiting: deque[T] = deque()
        self._unfinished = 0
        self._lanes: abc.ObserverBase[Indexed[T]] | None = None
        self._end: Callable[[], None] | None = None
        self._subscriptions = CompositeDisposable()

    def connect(
        self,
        source: Observable[Indexed[T]],
        outputs: Callable[[Observable[Indexed[T]]], Observable[Indexed[Keyed[T]]]],
        scheduler: abc.SchedulerBase | None,
    ) -> abc.DisposableBase:
        """Subscribe to the lanes and then to the source."""

        def subscribe_lanes(
            lanes: abc.ObserverBase[Indexed[T]], _: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._lanes = lanes
            return Disposable()

        from_lanes = CallingObserver[Indexed[Keyed[T]]](
            lambda indexed: self._accept(*indexed[1]),
            self._observer.on_error,
            self._observer.on_completed,
        )
        from_source = CallingObserver[Indexed[T]](
            self._on_item,
            lambda error: self._on_source_end(lambda lanes: lanes.on_error(error)),
            lambda: self._on_source_end(lambda lanes: lanes.on_completed()),
        )
        fed: Observable[Indexed[T]] = Direct(subscribe_lanes)
        self._run.draining.add_part(self)
        self._subscriptions.add(fed.pipe(outputs).subscribe(from_lanes, scheduler=scheduler))
        self._subscriptions.add(source.subscribe(from_source, scheduler=scheduler))
        return self._subscriptions

    def add_key(self, value: T) -> Keyed[T]:
        """Return an item with its key."""
        return None if self._get_key is None else self._get_key(value), value

    def end_items(self, items: int = 1) -> None:
        """Note that all outputs of an item have been pulled, or that none are to be."""
        self._unfinished -= items
        self._accept_waiting()

    def stop_starting(self) -> None:
        """Have no outputs pulled of the items that come."""
        self._is_drained = True
        if self._drop_unstarted is not None:
            self._unstarted = len(self._waiting)
            self._waiting.clear()

    def settle_unstarted(self) -> None:
        """Drop the items of the source that waited, or emit them."""
        if self._drop_unstarted is not None:
            self._drop_unstarted(self._unstarted)
        self._accept_waiting()

    def end_cut(self) -> None:
        """Emit the end, which some items may have been cancelled before."""
        self._unfinished = 0
        self._accept_waiting()

    def _on_item(self, indexed: Indexed[T]) -> None:
        self._waiting.append(indexed[1])
        self._accept_waiting()

    def _on_source_end(self, signal: Callable[[abc.ObserverBase[Indexed[T]]], None]) -> None:
        self._end = lambda: None if self._lanes is None else signal(self._lanes)
        self._accept_waiting()

    def _accept_waiting(self) -> None:
        while self._waiting and (self._is_drained or self._unfinished < self._ahead):
            try:
                self._accept(*self.add_key(self._waiting.popleft()))
            except Exception as error:
                self._run.fail(self._name_error(error))
                return
        if self._end is not None and not self._unfinished and not self._waiting:
            end, self._end = self._end, None
            end()

    def _accept(self, key: Hashable, value: T) -> None:
        """Emit an item that has a place, and have its outputs pulled, unless it is not new."""
        if self._left == 0 or not self._is_new(key):
            self._run.release()
            return
        indexed = next(self._numbers), value
        if self._lanes is not None and not self._is_drained:
            self._unfinished += 1
            self._lanes.on_next(indexed)
        self._observer.on_next(indexed)
        if self._left is not None:
            self._left -= 1
            if not self._left:
                self._subscriptions.dispose()
                self._observer.on_completed()

    def _is_new(self, key: Hashable) -> bool:
        if self._get_key is None:
            return True
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new


class _Counted(WrappedWork[Indexed[T], None]):
    """Notes the end of the work on each item."""

    def __init__(self, work: Work[Indexed[T], None], on_end: Callable[[], None]) -> None:
        super().__init__(work)
        self._on_end = on_end

    def finish(self, item: Indexed[T], answer: Any, started: float) -> None:
        self._finish(item, answer, started)
        self._on_end()

    def fail(self, item: Indexed[T], error: BaseException, started: float) -> None:
        self._fail(item, error, started)
        self._on_end()
