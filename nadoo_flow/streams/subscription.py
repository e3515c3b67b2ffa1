"""One run: its demand, its tasks and its end. Reactive Streams calls this the Subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar, cast
from weakref import ReferenceType, ref

from reactivex import Observable, abc
from reactivex.scheduler.eventloop import AsyncIOThreadSafeScheduler

from .._support.tasks import Driver, Interrupted, OwnedTask
from .turn import LoopTurn

AHEAD = 65_536
"""Items that a run may hold at once beside those that its lanes work on."""

MAX_WINDOW = 262_144
"""Items that a run may hold at once, whatever concurrency it was asked for."""

T = TypeVar("T")
R = TypeVar("R")

Build: TypeAlias = "Callable[[Subscription], Observable[T]]"


@dataclass(frozen=True)
class Plan(Generic[T]):
    """How to run: each run opened from a plan is a run of its own.

    Attributes:
        build: Makes the chain of operators for one run.
        max_concurrent: Items that must be outstanding to keep every lane of the chain busy.
        window: Most items outstanding. The default is four for each lane, so that none runs dry
            while others are slow, up to AHEAD; or one for each lane, up to MAX_WINDOW, where that
            is more.
    """

    build: Build[T]
    max_concurrent: int
    window: int | None = None

    def pipe(self, operator: Callable[[Observable[T]], Observable[R]]) -> Plan[R]:
        """Return the same plan with one more operator at the end of its chain."""
        return Plan(lambda run: self.build(run).pipe(operator), self.max_concurrent, self.window)

    def open(self) -> Subscription:
        """Open a run inside the running event loop."""
        window = compute_default_window(self.max_concurrent) if self.window is None else self.window
        return Subscription(window, self.max_concurrent)


def compute_default_window(max_concurrent: int) -> int:
    """Return how many items may be outstanding, where the caller does not say it."""
    return min(4 * max_concurrent, max(AHEAD, max_concurrent), MAX_WINDOW)


class Subscription:
    """The scope of one run: every operator, lane and source of the run belongs to it.

    Demand: an item is outstanding from the moment the source emits it until somebody settles it
    with :meth:`release` (it was handed to the consumer, dropped, or folded). The source emits only
    while ``outstanding < window``, and is asked again when ``outstanding`` has fallen to ``low``.

    End: the terminal signal (completion or error) reaches the observer once, after the last task
    of the run has ended and its sources are closed. After :meth:`cancel` there is no signal.

    Everything here belongs to the thread of the event loop.

    Args:
        window: Most items outstanding.
        max_concurrent: Items that must be outstanding to keep every lane busy.
    """

    def __init__(self, window: int, max_concurrent: int) -> None:
        self.loop = _get_running_loop()
        self.turn = LoopTurn.of(self.loop)
        self.context = copy_context()
        self.context.run(_enclosing.set, (ref(self), *_select_live(_enclosing.get())))
        self.window = window
        self.low = min(window - 1, max(window - window // 4, max_concurrent))
        self.pulled = 0
        self.outstanding = 0
        self.stopped = False
        self.finished = False
        self.dropped = 0
        self._on_demand: Callable[[], None] = _nothing
        self._cleanups: list[Callable[[], Awaitable[None]]] = []
        self._around = copy_context()
        # Made once, and not for each lane, of which there may be a hundred thousand.
        self._is_around_caller, self._task_done = self.is_around_caller, self._on_task_done
        self._lanes: set[OwnedTask[None]] = set()
        self._sources: set[OwnedTask[None]] = set()
        self._withdrawn: set[OwnedTask[None]] = set()
        self._lanes_ended: asyncio.Future[None] = self.loop.create_future()
        self._fatal: BaseException | None = None
        self._signal: Callable[[], None] = _nothing
        self._joiners: list[asyncio.Future[None]] = []
        self._observer: abc.ObserverBase[Any] | None = None
        self._chain: abc.DisposableBase | None = None
        self._closer: asyncio.Task[None] | None = None

    def start(
        self,
        build: Build[Any],
        observer: abc.ObserverBase[Any],
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        """Build the chain of operators of this run and subscribe the observer to it.

        Operators that keep time do so on the event loop, unless another scheduler is given.
        """
        self._observer = observer
        chain = build(self).subscribe(
            _Items(observer, self._on_error, self._on_completed),
            scheduler=scheduler or AsyncIOThreadSafeScheduler(self.loop),
        )
        if self.stopped:
            chain.dispose()
        else:
            self._chain = chain

    def set_pump(self, pump: Callable[[], None]) -> None:
        """Register the source: ``pump`` is called when it may emit again."""
        if not self.stopped:
            self._on_demand = pump

    def release(self, n: int = 1) -> None:
        """Settle items and let the source emit as many again; nothing happens after the end.

        Raises:
            ValueError: If more is settled than was outstanding.
        """
        if self.stopped:
            return
        outstanding = self.outstanding - n
        if outstanding < 0:
            raise ValueError(f"released {n} items, but only {self.outstanding} are outstanding")
        self.outstanding = outstanding
        if outstanding <= self.low:
            self._on_demand()

    def spawn(self, work: Callable[[], Awaitable[None]]) -> OwnedTask[None]:
        """Run a lane: a task that is ended, and awaited, with this run.

        Its own context is that of the subscriber, since observers are called in it. It drives each
        item in a context of the run.
        """
        return self._own(self._run_guarded(work), self._lanes, self._around)

    def spawn_source(self, work: Callable[[], Coroutine[Any, Any, None]]) -> OwnedTask[None]:
        """Run a source: a task that is ended with the lanes, and may close itself behind them."""
        return self._own(self._run_guarded(Driver(work).drive), self._sources, self.context)

    async def wait_for_lanes(self) -> None:
        """Wait until the run is to end and no lane is left, whoever cancels the waiter."""
        while not self._lanes_ended.done():
            try:
                await asyncio.wait([self._lanes_ended])
            except asyncio.CancelledError:
                continue

    def withdraw(self, task: OwnedTask[None]) -> None:
        """End one task without ending the run, because what it makes is of no use any more."""
        self._withdrawn.add(task)
        task.end()

    def is_around_caller(self) -> bool:
        """Return whether the caller is called by a node or source of this run, also indirectly."""
        return any(run() is self for run in _enclosing.get())

    def add_cleanup(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        """Have something awaited after the last task and before the terminal signal."""
        self._cleanups.append(cleanup)

    def fail(self, error: BaseException) -> None:
        """Stop the run: cancel everything, then signal the error.

        Only the first failure counts.
        """
        self._stop(partial(self._signal_error, error))

    def cancel(self) -> None:
        """Stop the run in silence.

        Prompt and idempotent; :meth:`join` awaits the clean-up.
        """
        self._stop(_nothing)
        self._signal = _nothing

    async def join(self) -> None:
        """Wait until every task has ended and every source is closed.

        A cancellation of the waiter is delivered only after that, so that no ``finally`` block of
        the run is left behind. A KeyboardInterrupt or SystemExit of the clean-up wins over it.
        """
        if self.is_around_caller():
            raise RuntimeError("a run cannot be awaited or closed from inside one of its own nodes")
        cancelled: asyncio.CancelledError | None = None
        while not self.finished:
            joiner = self.loop.create_future()
            self._joiners.append(joiner)
            try:
                await joiner
            except asyncio.CancelledError as error:
                cancelled = error
                # Cancel scopes of anyio cancel again in every turn of the loop.
                if not self.finished:
                    self._joiners.remove(joiner)
        if self._fatal is not None:
            raise self._fatal
        if cancelled is not None:
            raise cancelled

    def _on_error(self, error: Exception) -> None:
        self._stop(partial(self._signal_error, error))

    def _on_completed(self) -> None:
        self._stop(self._signal_completed)

    def _stop(self, signal: Callable[[], None]) -> None:
        if self.stopped:
            return
        self.stopped = True
        self._signal = signal
        self._on_demand = _nothing
        if self._chain is not None:
            self._chain.dispose()
        for task in (*self._lanes, *self._sources):
            task.end()
        self._end_in_steps()

    def _own(
        self, work: Coroutine[Any, Any, None], group: set[OwnedTask[None]], context: Context
    ) -> OwnedTask[None]:
        task = OwnedTask(
            work,
            loop=self.loop,
            context=context.copy(),
            is_caller_inside=self._is_around_caller,
        )
        group.add(task)
        task.add_done_callback(self._task_done)
        return task

    async def _run_guarded(self, drive: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                try:
                    return await drive()
                except Interrupted:
                    continue
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            # Also KeyboardInterrupt and SystemExit: left to the task, they would tear the event
            # loop down before the run could be joined.
            self.fail_fatally(error)

    def fail_fatally(self, error: BaseException) -> None:
        """Stop the run for an error that also counts where the run has been stopped already."""
        if self.stopped and not isinstance(error, Exception):
            self._fatal = error
        self.fail(error)

    def _on_task_done(self, task: OwnedTask[None]) -> None:
        self._lanes.discard(task)
        self._sources.discard(task)
        if task.cancelled() and not self.stopped and task not in self._withdrawn:
            self.fail(asyncio.CancelledError("a task of the run was cancelled from outside"))
        self._withdrawn.discard(task)
        if self.stopped:
            self._end_in_steps()

    def _end_in_steps(self) -> None:
        """End the lanes, then the sources, then what was registered with :meth:`add_cleanup`."""
        if self._lanes:
            return
        if not self._lanes_ended.done():
            self._lanes_ended.set_result(None)
        if self._sources or self._closer is not None or self.finished:
            return
        if self._cleanups:
            self._closer = asyncio.Task(self._clean_up(), loop=self.loop)
        else:
            self._finish()

    async def _clean_up(self) -> None:
        for cleanup in self._cleanups:
            try:
                await cleanup()
            except (KeyboardInterrupt, SystemExit) as error:
                self._fatal = error
            except asyncio.CancelledError:
                continue  # whoever cancels all tasks must not keep the others from being closed
            except Exception as error:
                self.report_error("a source raised while it was being closed", error)
        self._finish()

    def _finish(self) -> None:
        self.finished = True
        signal, self._signal = self._signal, _nothing
        if self._fatal is not None and signal is not _nothing:
            signal = partial(self._signal_error, self._fatal)
        elif self._fatal is not None and not self._joiners:
            self.report_error("a node of a cancelled run raised in its clean-up", self._fatal)
        try:
            signal()
        except Exception as error:
            self.report_error("an observer raised in on_completed or on_error", error)
        for joiner in self._joiners:
            if not joiner.done():
                joiner.set_result(None)
        # Nothing of a finished run is kept alive by whoever still holds its handle.
        self._observer = self._chain = self._closer = None
        self._is_around_caller, self._task_done = _never, _ignore
        self._cleanups.clear()
        self._joiners.clear()

    def _signal_completed(self) -> None:
        if self._observer is not None:
            self._observer.on_completed()

    def _signal_error(self, error: BaseException) -> None:
        if self._observer is not None:
            # Rx types errors as Exception; KeyboardInterrupt and SystemExit take the same way.
            self._observer.on_error(cast(Exception, error))

    def report_error(self, message: str, error: BaseException) -> None:
        """Tell the event loop of an error that has no consumer to go to."""
        self.loop.call_exception_handler({"message": message, "exception": error})


class _Items(abc.ObserverBase[T], Generic[T]):
    """Gives items straight to an observer, and the end to someone else."""

    __slots__ = ("_on_completed", "_on_error", "on_next")
    on_next: Callable[[T], None]  # type: ignore[assignment]  # not bound to this object

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        on_error: abc.OnError,
        on_completed: abc.OnCompleted,
    ) -> None:
        self.on_next = observer.on_next  # a call less for each item
        self._on_error = on_error
        self._on_completed = on_completed

    def on_error(self, error: Exception) -> None:
        self._on_error(error)

    def on_completed(self) -> None:
        self._on_completed()


# Weak, because the run holds the context in which this is set.
_enclosing: ContextVar[tuple[ReferenceType[Subscription], ...]] = ContextVar(
    "nadoo_flow_enclosing_runs", default=()
)


def find_outermost_run() -> Subscription | None:
    """Return the run that all runs around the caller are part of, if there is one on this loop."""
    loop, outermost = _get_running_loop(), None
    for reference in _select_live(_enclosing.get()):
        run = reference()
        if run is not None and run.loop is loop:
            outermost = run
    return outermost


def _select_live(
    references: tuple[ReferenceType[Subscription], ...],
) -> Iterator[ReferenceType[Subscription]]:
    for reference in references:
        run = reference()
        if run is not None and not run.finished:
            yield reference


def _get_running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "a run needs a running event loop: start it inside a coroutine"
        ) from None


def _nothing() -> None:
    """Do nothing."""


def _never() -> bool:
    return False


def _ignore(task: OwnedTask[None]) -> None:
    """Do nothing."""
