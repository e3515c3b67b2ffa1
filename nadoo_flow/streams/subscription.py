"""One run: its demand, its tasks and its end. Reactive Streams calls this the Subscription."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

from reactivex import Observable, abc
from reactivex.scheduler.eventloop import AsyncIOThreadSafeScheduler

from .._support.functions import do_nothing
from .._support.report_error import report_error
from .demand import Demand
from .direct import CallingObserver
from .draining import Draining
from .run_scope import RunScope, find_scopes
from .run_tasks import RunTasks
from .turn import LoopTurn

T = TypeVar("T")

Build: TypeAlias = "Callable[[Subscription], Observable[T]]"


class Subscription(Demand, RunScope):
    """The scope of one run: every operator, lane and source of the run belongs to it.

    End: the terminal signal (completion or error) reaches the observer once, after the last task
    of the run has ended and its sources are closed. After :meth:`cancel` there is no signal.

    Everything here belongs to the thread of the event loop.

    Args:
        window: Most items outstanding.
        max_concurrent: Items that must be outstanding to keep every lane busy.

    Attributes:
        loop: The event loop that the run belongs to.
        turn: The time budget of the loop's current turn.
        context: The context that nodes and sources run in; each item gets a copy.
        tasks: The lanes and sources.
        draining: How it is drained.
        source_ended: Whether the source emits no more.
        pulled: How many items the source has emitted.
        dropped: How many items an Observable emitted in vain, because its buffer was full.
        completed: Whether it ends by completion, and not by an error or a cancellation.
        error: The error by which it ends, until it has ended.
        finished: Whether it has ended, with all its tasks.
    """

    def __init__(self, window: int, max_concurrent: int) -> None:
        super().__init__(window, max_concurrent)
        self.loop = _get_running_loop()
        self.turn = LoopTurn.of(self.loop)
        self.context = copy_context()
        self.enter_in(self.context)
        self.source_ended = False
        self.pulled = 0
        self.completed = False
        self.error: BaseException | None = None
        self.finished = False
        self.dropped = 0
        self._fatal: BaseException | None = None
        self._signal: Callable[[], None] = do_nothing
        self._joiners: list[asyncio.Future[None]] = []
        self._observer: abc.ObserverBase[Any] | None = None
        self._chain: abc.DisposableBase | None = None
        # Observers are called in lanes, so those have the context of the subscriber.
        subscriber = copy_context()
        self.tasks = RunTasks(
            self.loop,
            contexts=(subscriber, self.context),
            is_caller_inside=self.is_around_caller,
            fail=self.fail_fatally,
            on_ended=self._finish,
        )
        self.draining = Draining(self.loop, subscriber, self.tasks, self.fail_fatally)

    def start(
        self,
        build: Build[Any],
        observer: abc.ObserverBase[Any],
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        """Build the chain of operators of this run and subscribe the observer to it.

        Operators that keep time do so on the event loop, unless another scheduler is given.

        Args:
            build: Makes the chain of the run.
            observer: Gets its signals.
            scheduler: The other scheduler.
        """
        self._observer = observer
        chain = build(self).subscribe(
            CallingObserver(observer.on_next, self.fail, self._complete),
            scheduler=scheduler or AsyncIOThreadSafeScheduler(self.loop),
        )
        if self.stopped:
            chain.dispose()
        else:
            self._chain = chain

    def is_waiting_for(self, items: int) -> bool:
        """Return whether nothing happens in the run until some of its items in work go on.

        Args:
            items: How many items wait for the same thing.
        """
        if self.tasks.lanes > items:
            return False
        is_full = items >= self.max_concurrent or self.outstanding >= self.limit
        return is_full or self.source_ended

    def add_cleanup(self, cleanup: Callable[[], Awaitable[None]]) -> None:
        """Have something awaited after the last task and before the terminal signal.

        Args:
            cleanup: An async function; an exception of it is reported to the handler of the loop.
        """
        self.tasks.add_cleanup(cleanup)

    def drain(self, timeout: float | None = None) -> None:
        """Start nothing more, finish what has been started, deliver it, and end.

        The source is pulled no more, and items that have been pulled and not started are settled.
        Idempotent; a further call may bring the timeout forward.

        Args:
            timeout: Seconds after which what is in work is cancelled; no limit by default.
        """
        if not self.stopped:
            self.draining.begin(timeout)

    def drop_unstarted(self, items: int) -> None:
        """Settle and count items that were pulled, and that are not started.

        Args:
            items: How many.
        """
        self.draining.not_started += items
        self.release(items)

    def fail(self, error: BaseException) -> None:
        """Stop the run: cancel everything, then signal the error.

        Only the first failure counts.

        Args:
            error: The error.
        """
        if not self.stopped:
            self.error = error
        self._stop(partial(self._signal_error, error))

    def cancel(self) -> None:
        """Stop the run in silence.

        Prompt and idempotent; :meth:`join` awaits the clean-up.
        """
        self._stop(do_nothing)
        self._signal = do_nothing

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
                # A cancel scope of anyio cancels in every turn of the loop, so without this the
                # list would grow with each turn.
                if not self.finished:
                    self._joiners.remove(joiner)
        if self._fatal is not None:
            raise self._fatal
        if cancelled is not None:
            raise cancelled

    def _complete(self) -> None:
        self.draining.settle()
        if not self.stopped:
            self.completed = True
        self._stop(self._signal_completed)

    def _stop(self, signal: Callable[[], None]) -> None:
        if self.stopped:
            return
        self.end_demand()
        self._signal = signal
        if self._chain is not None:
            self._chain.dispose()
        self.tasks.end()

    def fail_fatally(self, error: BaseException) -> None:
        """Stop the run; what is no Exception is raised even if the run has been stopped already.

        Args:
            error: The error.
        """
        if self.stopped and not isinstance(error, Exception):
            self._fatal = self.error = error
        self.fail(error)

    def _finish(self) -> None:
        self.finished = True
        signal, self._signal = self._signal, do_nothing
        if self._fatal is not None and signal is not do_nothing:
            signal = partial(self._signal_error, self._fatal)
        elif self._fatal is not None and not self._joiners:
            report_error(self.loop, "a node of a cancelled run raised in its clean-up", self._fatal)
        try:
            signal()
        except Exception as error:
            report_error(self.loop, "an observer raised in on_completed or on_error", error)
        self.draining.end()
        for joiner in self._joiners:
            if not joiner.done():
                joiner.set_result(None)
        # A handle that is still held must not keep the parts of a finished run alive.
        self._observer = self._chain = self.error = None
        self._joiners.clear()

    def _signal_completed(self) -> None:
        if self._observer is not None:
            self._observer.on_completed()

    def _signal_error(self, error: BaseException) -> None:
        if self._observer is not None:
            # Rx types errors as Exception, but passes on a KeyboardInterrupt just as well.
            self._observer.on_error(cast(Exception, error))


def find_outermost_run() -> Subscription | None:
    """Return the run that all runs around the caller are part of, if there is one on this loop."""
    runs = _find_runs()
    return runs[-1] if runs else None


def find_innermost_run() -> Subscription | None:
    """Return the run that the caller is part of, if there is one on this loop."""
    runs = _find_runs()
    return runs[0] if runs else None


def _find_runs() -> list[Subscription]:
    loop = _get_running_loop()
    return [run for run in find_scopes() if isinstance(run, Subscription) and run.loop is loop]


def _get_running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "a run needs a running event loop: start it inside a coroutine"
        ) from None
