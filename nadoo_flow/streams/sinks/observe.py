"""The sink that is a plain, cold Observable, for the user's own chain."""

from __future__ import annotations

from typing import Generic, TypeVar

from reactivex import Observable, abc

from ..._support.report_error import report_error
from ..loop_thread import create_loop_disposable
from ..plan import Plan
from ..subscription import Subscription

T = TypeVar("T")


def observe(plan: Plan[T]) -> Observable[T]:
    """Make an Observable of a plan: every subscription is a run of its own.

    Subscribing needs a running event loop, and emits nothing before it has returned. Disposing
    cancels the run, and may be done in any thread. Items are settled as soon as the observer's
    ``on_next`` returns.

    Args:
        plan: Makes the runs.
    """

    def subscribe(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        run = plan.open()
        run.start(plan.build, _SettlingObserver(run, observer), scheduler)
        return create_loop_disposable(run, run.cancel)

    return Observable(subscribe)


class _SettlingObserver(abc.ObserverBase[T], Generic[T]):
    """Settles each item when the observer's ``on_next`` has returned.

    What the observer raises cancels the run, and is not blamed on a node or the source.
    """

    def __init__(self, run: Subscription, observer: abc.ObserverBase[T]) -> None:
        self._run = run
        self._observer = observer

    def on_next(self, value: T) -> None:
        try:
            self._observer.on_next(value)
        except Exception as error:
            self._run.cancel()
            report_error(
                self._run.loop, "an observer raised in on_next, its run was cancelled", error
            )
        else:
            self._run.release()

    def on_error(self, error: Exception) -> None:
        self._observer.on_error(error)

    def on_completed(self) -> None:
        self._observer.on_completed()
