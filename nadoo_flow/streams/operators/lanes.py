"""The lanes of a ``flat_map``: tasks that take items from its queue, and do the work on each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from types import CoroutineType, coroutine
from typing import Any, Generic, NamedTuple, TypeVar, cast

from reactivex import abc
from typing_extensions import override

from ..._support.functions import do_nothing
from ..._support.tasks import (
    Driver,
    Interrupted,
    OwnedTask,
    close_work,
    get_running_task,
    leave_out_caller,
    take_strays_off,
)
from ..subscription import Subscription
from ..timed_context import OnHeld, TimedContext
from ..work import Work

T = TypeVar("T")
R = TypeVar("R")

STARTS = 100
"""Lanes that have been started and have not suspended yet, at most."""


class _Interruption(NamedTuple):
    """What a lane was about when it was interrupted: the rest of an item, and its start."""

    driver: Driver[Any]
    in_context: Callable[..., Any]
    item: Any
    started: float


class Lanes(abc.ObserverBase[T], Generic[T, R]):
    """Up to ``max_concurrent`` tasks, and the queue in front of them, which observes the items.

    Args:
        run: The run.
        work: The work on each item.
        max_concurrent: Most lanes.
        observer: Receives the results.
        queue: The items that wait for a lane.
        take: Takes the next one out of the queue.
        on_held: Called with the seconds for which a step of the work held the event loop.
        eager: Whether an item that comes while a lane is starting has another one started.
    """

    def __init__(
        self,
        run: Subscription,
        work: Work[T, R],
        max_concurrent: int,
        observer: abc.ObserverBase[R],
        queue: deque[T] | list[T],
        take: Callable[[], T],
        on_held: OnHeld | None,
        *,
        eager: bool,
    ) -> None:
        self._run = run
        self._eager = eager
        self._work = work
        self._max_concurrent = max_concurrent
        self._observer = observer
        self._queue = queue
        self._take = take
        self._on_held = on_held
        self._known_gaps = run.turn.gaps
        self._lanes: set[OwnedTask[None]] = set()
        self._interrupted: dict[OwnedTask[None], _Interruption] = {}
        self._starting = 0
        self._parked = 0
        self._leave_out: Callable[[int], None] | None = None
        self._end: Callable[[], None] | None = None

    @override
    def on_next(self, value: T) -> None:
        if self._leave_out is not None:
            self._leave_out(1)
            return
        self._queue.append(value)
        # A lane that is starting may take this item too, if its first one does not suspend.
        if len(self._lanes) < self._max_concurrent and (self._eager or not self._starting):
            self._start_lanes(1)

    @override
    def on_error(self, error: Exception) -> None:
        self._end_with(lambda: self._observer.on_error(error))

    @override
    def on_completed(self) -> None:
        self._end_with(self._observer.on_completed)

    def _end_with(self, signal: Callable[[], None]) -> None:
        self._end = signal
        if not self._lanes:
            self.pass_end_on()

    def _start_lanes(self, wanted: int) -> None:
        if self._run.stopped:
            return
        # Each lane starts others when it suspends first, so that no turn has to start them all.
        free = min(self._max_concurrent - len(self._lanes), STARTS - self._starting)
        for _ in range(min(wanted, free)):
            self._starting += 1
            self._lanes.add(self._run.tasks.spawn_lane(self._run_lane))

    def dispose(self) -> None:
        """End all lanes, because nothing uses what they make."""
        self.refuse(do_nothing)
        self.withdraw_all()

    def withdraw_all(self) -> None:
        """End all lanes."""
        for lane in self._lanes:
            self._run.tasks.withdraw(lane)

    def forget_all(self) -> None:
        """Note that all lanes have ended."""
        self._lanes.clear()
        self.pass_end_on()

    def refuse(self, leave_out: Callable[[int], None]) -> int:
        """Take no more items, and return how many were waiting.

        Args:
            leave_out: Called with the number of items that come all the same.
        """
        self._leave_out = leave_out
        waiting = len(self._queue)
        self._queue.clear()
        return waiting

    def pass_end_on(self) -> None:
        """Emit the end, if the source has ended and that was not done."""
        if self._end is not None:
            signal, self._end = self._end, None
            signal()

    @coroutine
    def _run_lane(self) -> Generator[Any, Any, None]:
        """Take items while there are any, and do the work on each inside its own context.

        The inner loop repeats that of :meth:`Driver.drive`, and a change to one belongs in the
        other. To share it makes an item that suspends once 5% slower, as measured: it needs a
        generator for each item, and each of its steps passes through that.
        """
        lane = cast("OwnedTask[None]", asyncio.current_task())
        run, queue, take = self._run, self._queue, self._take
        start, finish = self._work.start, self._work.finish
        on_next = self._observer.on_next
        new_context: Callable[[], Context | TimedContext] = run.context.copy
        turn, time = run.turn, run.turn.time
        suspended = yield from self._resume(lane)
        while queue and not run.stopped:
            started = time()
            if started >= turn.ends:
                if turn.is_spent():
                    if self._parked >= len(queue):
                        break  # enough lanes wait to take the items that are left
                    yield from self._wait_for_turn(lane)
                    continue
                new_context = self._choose_context()
            item = take()
            in_context = new_context().run
            try:
                answer = in_context(start, item, started)
                failure = None
            except BaseException as error:
                answer, failure = None, leave_out_caller(error)
            if type(answer) is CoroutineType:
                coroutine, argument = answer, None
                step: Callable[[Any], Any] = coroutine.send
                while True:
                    try:
                        awaited = in_context(step, argument)
                    except StopIteration as done:
                        answer = done.value
                        break
                    except BaseException as error:
                        failure = leave_out_caller(error)
                        break
                    # An exception that is kept here would look as if the work still handled it.
                    argument = None
                    if not suspended:
                        suspended = True
                        self._starting -= 1
                        self._start_lanes(len(queue) - self._parked)
                    if lane.ended_by_owner:
                        # A timeout in the node may have taken the cancellation of the run's end
                        # back.
                        lane.deliver()
                    try:
                        step, argument = coroutine.send, (yield awaited)
                    except GeneratorExit as error:
                        if get_running_task() is lane:
                            driver = Driver(partial(_hand_over, coroutine), in_context)
                            self._interrupted[lane] = _Interruption(
                                driver, in_context, item, started
                            )
                            raise driver.interrupt(error) from None
                        close_work(coroutine, in_context)
                        raise
                    except asyncio.CancelledError as error:
                        lane.note_thrown(error, awaited)
                        step, argument = coroutine.throw, leave_out_caller(error)
                    except BaseException as error:
                        step, argument = coroutine.throw, leave_out_caller(error)
            if failure is None:
                result = in_context(finish, item, answer, started)
            else:
                result = self._fail(lane, in_context, item, failure, started)
                failure = None
            if run.stopped:
                return
            on_next(result)
            if lane.has_strays:
                yield from take_strays_off(lane)
        if not suspended:
            self._starting -= 1
        self._lanes.discard(lane)
        if self._end is not None and not self._lanes and not run.stopped:
            self.pass_end_on()

    def _choose_context(self) -> Callable[[], Context | TimedContext]:
        """Return what makes the context of an item: one that times its steps if there was a gap."""
        run, turn, on_held = self._run, self._run.turn, self._on_held
        if on_held is None or turn.gaps == self._known_gaps:
            return run.context.copy
        self._known_gaps = turn.gaps
        return partial(TimedContext, run.context, turn.time, on_held)

    def _fail(
        self,
        lane: OwnedTask[None],
        in_context: Callable[..., Any],
        item: T,
        error: BaseException,
        started: float,
    ) -> Any:
        try:
            return in_context(self._work.fail, item, error, started)
        except (asyncio.CancelledError, GeneratorExit) as raised:
            if lane.is_to_end:
                if self._run.draining.is_cut:
                    self._run.draining.cancelled += 1
                raise
            raise _create_cancel_error(raised) from raised

    @coroutine
    def _resume(self, lane: OwnedTask[None]) -> Generator[Any, Any, bool]:
        """Finish the item in which the lane was interrupted, and return whether there was one."""
        interruption = self._interrupted.get(lane)
        if interruption is None:
            return False
        driver, in_context, item, started = interruption
        try:
            answer = yield from driver.drive()
        except Interrupted:
            raise
        except BaseException as error:
            del self._interrupted[lane]
            result = self._fail(lane, in_context, item, leave_out_caller(error), started)
        else:
            del self._interrupted[lane]
            result = in_context(self._work.finish, item, answer, started)
        if not self._run.stopped:
            self._observer.on_next(result)
            yield from take_strays_off(lane)
        return True

    @coroutine
    def _wait_for_turn(self, lane: OwnedTask[None]) -> Generator[Any, Any, None]:
        self._parked += 1
        try:
            yield from self._run.turn.create_waiter()
        except asyncio.CancelledError:
            if lane.is_to_end:
                raise
            yield from take_strays_off(lane)
        finally:
            self._parked -= 1


def _hand_over(work: Coroutine[Any, Any, R]) -> Coroutine[Any, Any, R]:
    return work


def _create_cancel_error(error: BaseException) -> RuntimeError:
    return RuntimeError(f"the work raised {type(error).__name__}, although it was not cancelled")
