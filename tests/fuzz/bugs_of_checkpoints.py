"""Bugs in how results are recorded and come back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from nadoo_flow.checkpoint.delivery import Delivery
from nadoo_flow.checkpoint.resuming import Resuming
from nadoo_flow.checkpoint.store import Store

from .replacing import Planting, replaced


def recorded_items_run_again() -> AbstractContextManager[None]:
    """Find no result in any record."""
    return replaced(Resuming, "_restore_result", lambda *_: None)


def results_come_unrecorded() -> AbstractContextManager[None]:
    """Deliver each result before it is recorded."""
    inherited = Delivery._on_result

    def on_result(delivery: Delivery, result: Any) -> None:
        deliver, delivery._deliver_to = delivery._deliver_to, lambda result: None
        inherited(delivery, result)
        deliver(result)

    return replaced(Delivery, "_on_result", on_result)


def unrecorded_results_are_lost() -> AbstractContextManager[None]:
    """Record nothing any more at the end of a run."""
    inherited = Store.close

    async def close(store: Store, unrecorded: Callable[[], Any]) -> None:
        await inherited(store, tuple)

    return replaced(Store, "close", close)


def checkpoint_is_left_open() -> AbstractContextManager[None]:
    """Close the checkpoint of a run that comes to its end, and of no other."""

    async def close(store: Store, unrecorded: Callable[[], Any]) -> None:
        await store._thread.finish(lambda: None)

    return replaced(Store, "close", close)


BUGS: dict[Planting, str] = {
    recorded_items_run_again: r"Disk\(",
    results_come_unrecorded: r"Disk\(",
    unrecorded_results_are_lost: r"Disk\(",
    checkpoint_is_left_open: r"Disk\(",
}
