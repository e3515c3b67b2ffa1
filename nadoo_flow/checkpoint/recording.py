"""One run with a checkpoint: what is done comes back from it, what is new goes there first."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias, TypeVar

from reactivex import Observable, abc

from ..batch_result import BatchResult
from ..errors import describe
from ..streams import Indexed, Subscription
from .codec import JsonCodec, encoded_metadata
from .fingerprint import Fingerprint, fingerprint_of
from .protocol import Checkpoint, CheckpointError, Codec, Record

MOST_UNRECORDED = 4096
"""Finished items that may wait for the disk without holding up the inputs."""

PAUSE = 0.005
"""Seconds between the beginnings of two writes, so that fast nodes make few and large groups."""

MOST_READ = 256
"""Records that are read from the checkpoint at a time."""

Work: TypeAlias = Callable[[Indexed[Any]], Coroutine[Any, Any, BatchResult]]
T = TypeVar("T")


class Recording:
    """Leads the items of one run past a checkpoint.

    :meth:`resumed` goes before the nodes and :meth:`recorded` behind them. Everything here belongs
    to the thread of the event loop, apart from the calls of the checkpoint, which are made one
    after the other in a thread of their own, so that the loop never waits for a disk.

    Args:
        run: The run.
        checkpoint: Where results are kept.
        codec: The user's own, or None for JSON.
        node_id: The node that the checkpoint must belong to.
        node_type: Its type.

    Attributes:
        on_resumed: Called with the index of each item that came back from the checkpoint.
    """

    def __init__(
        self,
        run: Subscription,
        checkpoint: Checkpoint,
        codec: Codec | None,
        node_id: str,
        node_type: str,
    ) -> None:
        self._run = run
        self._checkpoint = checkpoint
        self._own_codec = codec
        self._codec = JsonCodec() if codec is None else codec
        self._node = (node_id, node_type)
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._is_open = False
        self._fingerprints: dict[int, Fingerprint] = {}
        self._encoded: dict[int, bytes] = {}
        # What comes in, and what is known of it.
        self._inputs: deque[Indexed[Any]] = deque()
        self._source_end: Callable[[], None] | None = None
        self._records: dict[int, Record] = {}
        self._known: float = 0
        self._matching = False
        # What goes out: recorded in groups, delivered when it is on the disk.
        self._unrecorded: list[tuple[BatchResult, Record]] = []
        self._delivery: deque[BatchResult] = deque()
        self._writing = False
        self._next_write = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._delivering = False
        self._lent = 0
        self._end: Callable[[], None] | None = None
        self._deliver_to: Callable[[BatchResult], None] = _nowhere
        self._pass_on: Callable[[Indexed[Any]], None] = _nowhere
        self.on_resumed: Callable[[int], None] = _nowhere
        run.on_end(self._close)

    def encoding(self, work: Work) -> Work:
        """Return the work on one item, which fails if its output cannot be recorded.

        The output, which may have been dear, stays in the failed result.
        """

        async def work_and_encode(indexed: Indexed[Any]) -> BatchResult:
            result = await work(indexed)
            if result.success:
                try:
                    self._encoded[indexed[0]] = self._codec.encode(result.output)
                except Exception as error:
                    result.success = False
                    result.exception = error
                    result.error = (
                        f"the output cannot be recorded: {describe(error)}; "
                        "another codec= can store what JSON cannot"
                    )
            return result

        return work_and_encode

    def resumed(self, source: Observable[Indexed[Any]]) -> Observable[Indexed[Any]]:
        """Pass on the items that are not done; the others go around the nodes as results."""

        def subscribe(
            observer: abc.ObserverBase[Indexed[Any]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._pass_on = observer.on_next
            self._matching = True
            self._call(self._open, self._on_read)
            return source.subscribe(
                self._on_input,
                lambda error: self._on_source_end(partial(observer.on_error, error)),
                lambda: self._on_source_end(observer.on_completed),
                scheduler=scheduler,
            )

        return Observable(subscribe)

    def recorded(self, results: Observable[BatchResult]) -> Observable[BatchResult]:
        """Pass on each result when it is recorded; a failure is not, so that it runs again."""

        def subscribe(
            observer: abc.ObserverBase[BatchResult], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._deliver_to = observer.on_next
            return results.subscribe(
                self._on_result,
                lambda error: self._on_end(partial(observer.on_error, error)),
                lambda: self._on_end(observer.on_completed),
                scheduler=scheduler,
            )

        return Observable(subscribe)

    # Before the nodes.

    def _open(self) -> Sequence[Record]:
        self._checkpoint.open(*self._node)
        self._is_open = True
        return self._checkpoint.completed(0, MOST_READ)

    def _on_read(self, records: Sequence[Record]) -> None:
        self._records = {record.item: record for record in records}
        self._known = records[-1].item + 1 if len(records) >= MOST_READ else math.inf
        self._matching = False
        self._match_waiting()

    def _on_input(self, indexed: Indexed[Any]) -> None:
        if self._matching or self._inputs or indexed[0] >= self._known:
            self._inputs.append(indexed)
            if not self._matching:
                self._match_waiting()
        else:
            self._match(indexed)

    def _match_waiting(self) -> None:
        """Match what has come in, as far as the records are known and the loop's turn goes."""
        run, inputs = self._run, self._inputs
        self._matching = True
        while inputs and not run.stopped:
            if (index := inputs[0][0]) >= self._known:
                read = partial(self._checkpoint.completed, index, MOST_READ)
                self._call(read, self._on_read)
                return
            if run.turn.spent():
                run.loop.call_soon(self._match_waiting)
                return
            self._match(inputs.popleft())
        self._matching = False
        if self._source_end is not None and not run.stopped:
            self._source_end()

    def _match(self, indexed: Indexed[Any]) -> None:
        index, value = indexed
        try:
            fingerprint = fingerprint_of(index, value, self._own_codec)
            record = self._records.pop(index, None)
            result = None if record is None else self._result_of(record, fingerprint, value)
        except CheckpointError as error:
            # Nothing more is recorded: these are not the inputs that the file belongs to.
            self._unrecorded.clear()
            self._run.fail(error)
            return
        if result is not None:
            self.on_resumed(index)
            self._hand_over(result)
        else:
            self._fingerprints[index] = fingerprint
            self._pass_on(indexed)

    def _result_of(self, record: Record, fingerprint: Fingerprint, value: Any) -> BatchResult:
        if record.fingerprint != fingerprint.digest:
            before = Fingerprint(record.fingerprint, record.preview)
            raise CheckpointError(
                f"the checkpoint{_named(self._checkpoint)} belongs to other inputs: item "
                f"{record.item} was {before}, but is now {fingerprint}; use another file"
            )
        try:
            output = self._codec.decode(record.output)
            metadata = json.loads(record.metadata)
        except Exception as error:
            raise CheckpointError(
                f"the checkpoint{_named(self._checkpoint)} holds an output of item "
                f"{record.item} that the codec cannot read: {describe(error)}"
            ) from error
        return BatchResult(
            record.item,
            value,
            True,
            output,
            execution_time=record.execution_time,
            metadata={**metadata, "resumed": True},
        )

    def _on_source_end(self, signal: Callable[[], None]) -> None:
        self._source_end = signal
        if not self._matching:
            signal()

    # Behind the nodes.

    def _on_result(self, result: BatchResult) -> None:
        fingerprint = self._fingerprints.pop(result.index)
        if not result.success:
            self._deliver_to(result)
            return
        record = Record(
            result.index,
            fingerprint.digest,
            fingerprint.preview,
            self._encoded.pop(result.index),
            encoded_metadata(result.metadata),
            result.execution_time or 0.0,
        )
        self._unrecorded.append((result, record))
        if not self._writing:
            self._write_soon()
        if self._lent < MOST_UNRECORDED:
            # While it waits for the disk another may be pulled, or nodes that are faster than the
            # disk would stand still.
            self._lent += 1
            self._run.release()

    def _write_soon(self) -> None:
        """Write with whatever else this turn of the loop, or the pause, brings."""
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
        group, self._unrecorded = self._unrecorded, []
        write = partial(self._checkpoint.record, [record for _, record in group])
        results = [result for result, _ in group]
        self._call(write, partial(self._on_written, results), results)

    def _write_now(self) -> None:
        """Pause no longer, because nothing more will come."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()

    def _on_written(self, results: list[BatchResult], _: None) -> None:
        self._delivery.extend(results)
        self._writing = False
        if self._unrecorded:
            self._write_soon()
        if self._end is not None:
            self._write_now()
        if not self._delivering:
            self._deliver()

    def _deliver(self) -> None:
        """Hand over what is recorded, as far as the loop's turn goes."""
        run, delivery = self._run, self._delivery
        self._delivering = True
        while delivery and not run.stopped:
            if run.turn.spent():
                run.loop.call_soon(self._deliver)
                return
            if self._lent:
                self._lent -= 1
                run.outstanding += 1
            self._hand_over(delivery.popleft())
        self._delivering = False
        self._end_if_all_is_delivered()

    def _hand_over(self, result: BatchResult) -> None:
        try:
            self._deliver_to(result)
        except Exception as error:
            self._run.fail(error)

    def _on_end(self, signal: Callable[[], None]) -> None:
        self._end = signal
        self._write_now()
        self._end_if_all_is_delivered()

    def _end_if_all_is_delivered(self) -> None:
        if self._end is None or self._writing or self._delivering or self._run.stopped:
            return
        signal, self._end = self._end, None
        self._call(self._shut, lambda _: signal())

    # In the checkpoint's own thread.

    def _call(
        self,
        work: Callable[[], T],
        then: Callable[[T], None],
        results: Sequence[BatchResult] = (),
    ) -> None:
        """Call the checkpoint, go on with what it answers, or end the run with its error."""

        def answered(future: asyncio.Future[T]) -> None:
            error = future.exception()
            if error is not None:
                self._fail(error, results)
            elif not self._run.stopped:
                then(future.result())

        self._run.loop.run_in_executor(self._thread, work).add_done_callback(answered)

    def _fail(self, error: BaseException, results: Sequence[BatchResult]) -> None:
        failed = _as_checkpoint_error(error)
        failed.unrecorded = [*results, *(result for result, _ in self._unrecorded)]
        self._unrecorded.clear()
        if self._run.stopped:
            self._run.report("the checkpoint of a run that had ended failed", failed)
        else:
            self._run.fail(failed)

    async def _close(self) -> None:
        """Record what was finished when the run was cancelled, and close the checkpoint."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._run.loop.run_in_executor(self._thread, self._shut)
        finally:
            self._thread.shutdown(wait=False)

    def _shut(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            if self._unrecorded:
                self._checkpoint.record([record for _, record in self._unrecorded])
        finally:
            self._checkpoint.close()


def _as_checkpoint_error(error: BaseException) -> CheckpointError:
    if isinstance(error, CheckpointError):
        return error
    failed = CheckpointError(f"the checkpoint failed: {describe(error)}")
    failed.__cause__ = error
    return failed


def _named(checkpoint: Checkpoint) -> str:
    path = getattr(checkpoint, "path", None)
    return "" if path is None else f" {path!r}"


def _nowhere(value: object) -> None:
    """Take what comes before there is anybody to take it."""
