"""The stage behind the nodes: records results in groups, and delivers those on the disk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from reactivex import Observable, abc

from .._support.report_error import report_error
from ..results.batch_result import BatchResult
from ..streams import CallingObserver, Direct, Subscription
from .protocol import CheckpointError, Record
from .store import Store

MOST_UNRECORDED = 2048
"""Finished items that may wait for the disk before no more inputs are pulled."""

PAUSE = 0.005
"""Seconds between the beginnings of two writes, so that fast nodes make few and large groups."""


class Delivery:
    """Records the results of one run, and delivers each when it is recorded.

    Args:
        run: The run.
        store: The checkpoint.
        take_record: Returns the record of a success, by its index.
    """

    def __init__(
        self, run: Subscription, store: Store, take_record: Callable[[int], Record]
    ) -> None:
        self._run = run
        self._store = store
        self._take_record = take_record
        self._unrecorded: list[BatchResult] = []
        self._records: list[Record] = []
        self._recorded: deque[BatchResult] = deque()
        self._writing = False
        self._next_write = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._delivering = False
        self._lent = 0
        self._end: Callable[[], None] | None = None
        self._deliver_to: Callable[[BatchResult], None] = _discard
        run.add_cleanup(self._close)

    def deliver_recorded(self, results: Observable[BatchResult]) -> Observable[BatchResult]:
        """Pass on each success when it is recorded, and each failure at once."""

        def subscribe(
            observer: abc.ObserverBase[BatchResult], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._deliver_to = observer.on_next
            calling = CallingObserver(
                self._on_result,
                lambda error: self._on_end(partial(observer.on_error, error)),
                lambda: self._on_end(observer.on_completed),
            )
            return results.subscribe(calling, scheduler=scheduler)

        return Direct(subscribe)

    def deliver(self, result: BatchResult) -> None:
        """Deliver a result that is recorded."""
        try:
            self._deliver_to(result)
        except BaseException as error:
            self._run.fail(error)

    def fail(self, error: CheckpointError, results: Sequence[BatchResult] = ()) -> None:
        """End the run with an error of the checkpoint, which carries the unrecorded results.

        Args:
            error: The error.
            results: The group whose recording failed; the groups after it are added here.
        """
        error.unrecorded = [*results, *self._unrecorded]
        self._forget_unrecorded()
        if self._run.stopped:
            report_error(self._run.loop, "the checkpoint of a run that had ended failed", error)
        else:
            self._run.fail(error)

    def refuse(self, error: CheckpointError) -> None:
        """End the run and record nothing more, because the checkpoint belongs to other inputs."""
        self._forget_unrecorded()
        self._run.fail(error)

    def _forget_unrecorded(self) -> None:
        self._unrecorded, self._records = [], []

    def _on_result(self, result: BatchResult) -> None:
        if not result.success:
            self._deliver_to(result)
            return
        self._records.append(self._take_record(result.index))
        self._unrecorded.append(result)
        if not self._writing:
            self._write_soon()
        if self._lent < MOST_UNRECORDED:
            # While this item waits for the disk another one may be pulled; otherwise nodes that are
            # faster than the disk would stand still.
            self._lent += 1
            self._run.release()

    def _write_soon(self) -> None:
        """Schedule a write, which takes along all results of this turn of the loop or pause."""
        self._writing = True
        loop, now = self._run.loop, self._run.turn.time()
        if now >= self._next_write:
            loop.call_soon(self._write)
        else:
            self._timer = loop.call_later(self._next_write - now, self._write)

    def _write(self) -> None:
        self._timer = None
        if self._run.stopped:
            return
        self._next_write = self._run.turn.time() + PAUSE
        results, records = self._unrecorded, self._records
        self._forget_unrecorded()
        self._store.record(
            records,
            lambda _: self._on_written(results),
            lambda error: self.fail(error, results),
        )

    def _write_now(self) -> None:
        """End the pause, because no more results will come."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()

    def _on_written(self, results: list[BatchResult]) -> None:
        self._recorded.extend(results)
        returned = min(self._lent, len(results))
        self._lent -= returned
        self._run.outstanding += returned
        self._writing = False
        if self._unrecorded:
            self._write_soon()
        if self._end is not None:
            self._write_now()
        if not self._delivering:
            self._deliver_waiting()

    def _deliver_waiting(self) -> None:
        """Deliver recorded results for as long as the turn of the loop has time."""
        run, recorded = self._run, self._recorded
        turn, time = run.turn, run.turn.time
        self._delivering = True
        try:
            while recorded and not run.stopped:
                if time() >= turn.ends and turn.is_spent():
                    run.loop.call_soon(self._deliver_waiting)
                    return
                self._deliver_to(recorded.popleft())
        except BaseException as error:
            run.fail(error)
        self._delivering = False
        self._end_if_all_is_delivered()

    def _on_end(self, signal: Callable[[], None]) -> None:
        self._end = signal
        self._write_now()
        self._end_if_all_is_delivered()

    def _end_if_all_is_delivered(self) -> None:
        if self._end is None or self._writing or self._delivering or self._run.stopped:
            return
        signal, self._end = self._end, None
        self._store.shut(lambda _: signal(), self.fail)

    async def _close(self) -> None:
        """Record the items that were finished when the run ended, and close the checkpoint."""
        if self._timer is not None:
            self._timer.cancel()
        await self._store.close(lambda: self._records)


def _discard(result: BatchResult) -> None:
    """Stand for the observer until one subscribes."""
