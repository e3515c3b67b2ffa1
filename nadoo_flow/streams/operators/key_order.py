"""The order in front of the lanes: items of equal key are worked on one after the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import Context
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import abc
from typing_extensions import override

from ..._support.functions import do_nothing
from ..direct import CallingObserver
from ..work import Work

T = TypeVar("T")
R = TypeVar("R")


class Keys(Generic[T]):
    """Finds the key of each item.

    It is called once for each item, in the order in which they come, and never suspends.
    """

    def get_key(self, item: T) -> Hashable:
        """Return the key of an item.

        Args:
            item: The item.
        """
        raise NotImplementedError

    def note_failure(self, item: T, error: BaseException) -> None:
        """Have the work on an item fail whose key could not be compared with others.

        The item waits for no other one.

        Args:
            item: The item.
            error: What comparing its key raised.
        """
        raise error


class _Entry(Generic[T]):
    """An item on its way to the lanes, or in one.

    Attributes:
        item: The item.
        key: Its key.
        following: The next one of its key, which waits for its end.
        has_ended: Whether the work on it has ended.
    """

    __slots__ = ("following", "has_ended", "item", "key")

    def __init__(self, item: T, key: Hashable) -> None:
        self.item = item
        self.key = key
        self.following: Numbered[T] | None = None
        self.has_ended = False


Numbered: TypeAlias = tuple[int, _Entry[T]]
"""An entry with its position among all that have come."""


class KeyOrder(Work[Numbered[T], R], Generic[T, R]):
    """Holds each item back until the work on the one before it of an equal key has ended.

    An item that waits is known to the one that it waits for, and stays outstanding, so there are
    never more than the window of the run. When it may go, it is in the queue before the lane that
    made way for it looks there, so the lanes never run out while an item waits. The oldest goes
    first: no key has to wait for ever behind the others, and what is emitted in order can go on.

    Args:
        keys: Finds the keys.
        work: The work on an item, of which this sees the end.
        new_context: Makes the context in which the key of an item is found.

    Attributes:
        ready: The queue of the lanes, which is a heap. It stays one when the latest entry is
            appended.
        take: Takes the oldest entry out of the queue.
    """

    def __init__(self, keys: Keys[T], work: Work[T, R], new_context: Callable[[], Context]) -> None:
        self._keys = keys
        # Those of the work, bound once and not for each item.
        self._start, self._finish, self._fail = work.start, work.finish, work.fail
        self._new_context = new_context
        self._numbers = count()
        self._latest: dict[Hashable, _Entry[T]] = {}
        self._leave_out: Callable[[int], None] | None = None
        self.ready: list[Numbered[T]] = []
        self.take: Callable[[], Numbered[T]] = partial(heappop, self.ready)

    def pass_on_to(self, lanes: abc.ObserverBase[Numbered[T]]) -> abc.ObserverBase[T]:
        """Return an observer that passes on to the lanes what has to wait for nothing."""
        on_next, latest = lanes.on_next, self._latest
        new_context, get_key = self._new_context, self._keys.get_key

        def arrive(item: T) -> None:
            if self._leave_out is not None:
                self._leave_out(1)
                return
            key = new_context().run(get_key, item)
            numbered = next(self._numbers), _Entry(item, key)
            try:
                before = latest.get(key)
                latest[key] = numbered[1]
            except BaseException as error:
                before = None
                self._keys.note_failure(item, error.with_traceback(None))
            if before is None or before.has_ended:
                on_next(numbered)
            else:
                # There is no following one yet, unless equal keys are not always equal.
                while before.following is not None:
                    before = before.following[1]
                before.following = numbered

        return CallingObserver(arrive, lanes.on_error, lanes.on_completed)

    def stop(self, leave_out: Callable[[int], None]) -> int:
        """Let nothing more go, and return how many therefore go no further.

        Args:
            leave_out: Called with the number of further ones, whenever that is known of some.
        """
        self._leave_out = self._leave_out or leave_out
        free = sum(1 + _count_following(entry) for _, entry in self.ready)
        self.ready.clear()
        return free

    def dispose(self) -> None:
        """Let nothing more go, because nothing uses it."""
        self.stop(do_nothing)

    @override
    def start(self, item: Numbered[T], started: float) -> Any:
        return self._start(item[1].item, started)

    @override
    def finish(self, item: Numbered[T], answer: Any, started: float) -> R:
        entry = item[1]
        result = self._finish(entry.item, answer, started)
        self._end(entry)
        return result

    @override
    def fail(self, item: Numbered[T], error: BaseException, started: float) -> R:
        entry = item[1]
        try:
            result = self._fail(entry.item, error, started)
        except BaseException:
            if self._leave_out is not None:
                self._end(entry)
            raise
        self._end(entry)
        return result

    def _end(self, entry: _Entry[T]) -> None:
        entry.has_ended = True
        if entry.following is not None:
            if self._leave_out is None:
                heappush(self.ready, entry.following)
            else:
                self._leave_out(_count_following(entry))
            return
        try:
            if self._latest.get(entry.key) is entry:
                del self._latest[entry.key]
        except Exception:
            # A key that compares no more leaves an entry behind, which is seen to have ended.
            return


def _count_following(entry: _Entry[T]) -> int:
    waiting, following = 0, entry.following
    while following is not None:
        waiting, following = waiting + 1, following[1].following
    return waiting
