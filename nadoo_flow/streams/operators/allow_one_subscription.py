"""The operator that refuses a second subscription, since the items of a run pass only once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from ..direct import Direct
from ..loop_thread import call_on_loop, create_loop_disposable
from ..subscription import Subscription

T = TypeVar("T")


def allow_one_subscription(
    run: Subscription, make_error: Callable[[], Exception]
) -> Callable[[Observable[T]], Observable[T]]:
    """Allow one subscription; a second one ends the run with an error.

    The error goes to the run itself and not to the observer, which may be an operator that would
    catch it, or subscribe again. Subscribing and disposing may come from any thread.

    Args:
        run: The run that the items belong to.
        make_error: Makes the error of a second subscription.
    """
    first = threading.Lock()

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            if not first.acquire(blocking=False):
                call_on_loop(run, partial(_fail, run, make_error()))
                return Disposable()
            upstream = SingleAssignmentDisposable()

            def connect() -> None:
                if not run.stopped:
                    upstream.disposable = source.subscribe(observer, scheduler=scheduler)

            call_on_loop(run, connect)
            return create_loop_disposable(run, upstream.dispose)

        return Direct(subscribe)

    return operator


def _fail(run: Subscription, error: Exception) -> None:
    # A run that has a clean-up to await ends in a later turn of the loop. Without one it could
    # emit the error at once, and this may be inside the subscribe() of the whole run.
    run.add_cleanup(_end_later)
    run.fail(error)


async def _end_later() -> None:
    """Do nothing but be awaited."""
