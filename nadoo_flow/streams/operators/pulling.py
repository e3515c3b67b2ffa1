"""Pulling the outputs of the items of a ``flat_map_many``, each when there is a place for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from itertools import count
from types import CoroutineType
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from typing_extensions import override

from ..._support.tasks import get_running_task, is_ended_by_owner, is_to_end
from ..direct import CallingObserver, Direct, Indexed
from ..many_work import Hold, ManyWork, Outputs, are_async, close_outputs
from ..places import Places, Taker
from ..subscription import Subscription
from ..work import Work

T = TypeVar("T")
R = TypeVar("R")


class _Parent(Taker, Generic[R]):
    """An item whose outputs are pulled.

    Attributes:
        item: The item.
        outputs: How many it has given.
        holds: What it gives back while it waits for a place.
        ended: Whether it gives no more.
        held: Outputs that wait for those of earlier items.
        emit_in: The context of the subscriber, in which its outputs are emitted.
    """

    def __init__(
        self,
        item: Any,
        has_place: bool,
        emit_in: Context,
        pull_outputs: Callable[[_Parent[R], Outputs[R]], Coroutine[Any, Any, None]],
    ) -> None:
        super().__init__(has_place)
        self.item = item
        self._pull_outputs = pull_outputs
        self.emit_in = emit_in
        self.outputs = 0
        self.holds: list[Hold] = []
        self.ended = False
        self.held: deque[R] = deque()

    def pull(self, outputs: Outputs[R]) -> Coroutine[Any, Any, None]:
        """Take outputs to their end, as those of the item."""
        return self._pull_outputs(self, outputs)


class Pulling(Work[T, None], Generic[T, R]):
    """Pulls the outputs of each item, and emits them."""

    def __init__(
        self,
        run: Subscription,
        work: ManyWork[T],
        on_next: Callable[[Indexed[R]], None],
        places: Places,
        *,
        ordered: bool,
        with_place: bool,
        get_index: Callable[[int, T], int] | None,
        prepare: Callable[[Any], R] | None,
    ) -> None:
        self._run = run
        self._work = work
        self._on_next = on_next
        self._places = places
        self._ordered = ordered
        self._with_place = with_place
        self._get_index = get_index
        self._prepare = prepare
        self._numbers = count()
        self._stopped = self._left = False
        # With ``ordered`` those that are to give outputs, or hold some, in the order of the source;
        # only the first one emits.
        self._parents: OrderedDict[_Parent[R], None] = OrderedDict()
        self._expected: dict[int, _Parent[R]] = {}
        self._context = copy_context()

    def stop(self) -> None:
        """Emit nothing more."""
        self._stopped = self._left = True

    def expect(self, source: Observable[T]) -> Observable[T]:
        """Note the order of the items, which may start in another one."""

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def note(item: T) -> None:
                # By its identity, which no other item has while this one is kept.
                self._expected[id(item)] = self._add_parent(item)
                observer.on_next(item)

            noting = CallingObserver(note, observer.on_error, observer.on_completed)
            return source.subscribe(noting, scheduler=scheduler)

        return Direct(subscribe)

    @override
    def start(self, item: T, started: float) -> Coroutine[Any, Any, None]:
        parent = self._expected.pop(id(item)) if self._expected else self._add_parent(item)
        return self._pull(item, parent)

    def _add_parent(self, item: T) -> _Parent[R]:
        parent = _Parent[R](item, self._with_place, self._context.copy(), self.pull_outputs)
        if self._ordered:
            self._parents[parent] = None
            self._places.first = self._places.first or parent
        return parent

    @override
    def fail(self, item: T, error: BaseException, started: float) -> None:
        raise error

    async def _pull(self, item: T, parent: _Parent[R]) -> None:
        try:
            answer = self._work.pull(item, parent)
            if type(answer) is CoroutineType:
                answer = await answer
            self._work.check(item, answer)
        except BaseException as error:
            try:
                self._work.fail(item, error, parent.outputs)
            except BaseException as raised:
                if self._run.draining.is_cut and isinstance(raised, asyncio.CancelledError):
                    self._end(parent)
                else:
                    # What the items behind it have given is not emitted, since the run ends here.
                    self._places.give_back(parent)
                raise
        self._end(parent)

    async def pull_outputs(self, parent: _Parent[R], outputs: Outputs[R]) -> None:
        """Pull outputs of an item to their end, each when there is a place for it."""
        run, turn, time = self._run, self._run.turn, self._run.turn.time
        is_async = are_async(outputs)
        end: type[Exception] = StopAsyncIteration if is_async else StopIteration
        pull: Callable[[Any], Any] = anext if is_async else next
        try:
            while not (run.stopped or self._left):
                if time() >= turn.ends and turn.is_spent():
                    await turn.create_waiter()
                if not (parent.has_place or self._places.take(parent)):
                    await self._wait_for_place(parent)
                try:
                    output = pull(outputs)
                    if is_async:
                        output = await output
                except end:
                    return
                self._give(parent, output)
            await _wait_for_end()
        finally:
            await close_outputs(outputs)

    async def _wait_for_place(self, parent: _Parent[R]) -> None:
        if is_to_end():  # a generator has swallowed that, and no one may be there to make room
            raise asyncio.CancelledError
        # Whoever is to make room may need what this item holds.
        for hold in reversed(parent.holds):
            hold.give_back()
        await self._places.wait(parent)
        for hold in parent.holds:
            await hold.take_again()

    def _give(self, parent: _Parent[R], output: R) -> None:
        parent.outputs += 1
        if self._prepare is not None:
            output = self._prepare(output)
        parent.has_place = False
        if self._ordered and parent is not self._places.first:
            parent.held.append(output)
        else:
            parent.emit_in.run(self._emit, parent, output)

    def _emit(self, parent: _Parent[R], output: R) -> None:
        if self._run.stopped or self._stopped:
            return
        index = next(self._numbers)
        if self._get_index is not None:
            index = self._get_index(index, parent.item)
        try:
            self._on_next((index, output))
        except BaseException as error:
            # The item must not be blamed, or the run would go on without the output.
            self._run.fail_fatally(error)

    def end_with(self, signal: Callable[[], None]) -> None:
        """Signal the end, behind what has waited for items that will not start."""
        self.forget_expected()
        signal()

    def leave_items(self) -> None:
        """Pull nothing more of the items that are being pulled."""
        self._left = True

    def forget_expected(self) -> None:
        """Do not wait for the outputs of items that have not started."""
        expected, self._expected = self._expected, {}
        for parent in expected.values():
            parent.has_place = False  # that of the item, which is settled by others
            self._end(parent)

    def _end(self, parent: _Parent[R]) -> None:
        if parent is self._places.first:
            self._emit_held()
        elif self._ordered and not parent.held:
            # It would wait for the first item, and as many others as come meanwhile.
            del self._parents[parent]
        parent.ended = True
        self._places.give_back(parent)

    def _emit_held(self) -> None:
        """Emit what has waited for the first item, and for others that have ended."""
        parents = self._parents
        while parents:
            parents.popitem(last=False)
            self._places.first = first = next(iter(parents), None)
            if first is None:
                return
            while first.held:
                first.emit_in.run(self._emit, first, first.held.popleft())
            if not first.ended:
                self._places.hand_out()
                return


async def _wait_for_end() -> None:
    """Have the end of the task arrive here, and not in what a generator awaits when it is closed.

    An output that is emitted may end the run, and so the task that emits it.
    """
    if is_ended_by_owner(get_running_task()):
        await asyncio.sleep(0)
    else:  # a task of the item's own, which its lane is about to end
        await asyncio.get_running_loop().create_future()
