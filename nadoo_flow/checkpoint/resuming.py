"""The stage before the nodes: skips inputs whose results are recorded, and delivers those."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from reactivex import Observable, abc

from ..errors import describe_error
from ..nodes.usage import mark_as_saved
from ..results.batch_result import BatchResult
from ..storage import FAILURES, Codec, JsonCodec
from ..streams import CallingObserver, Direct, Indexed, Subscription
from .disk import OnCheckpointError
from .fingerprint import Fingerprint, take_fingerprint
from .protocol import CheckpointError, Record
from .store import Store

MOST_READ = 256
"""Records that are read from the checkpoint at a time."""


class Resuming:
    """Matches the inputs of one run with the records of its checkpoint, in their order.

    Args:
        run: The run.
        store: The checkpoint.
        codec: The user's own, or None for JSON.
        deliver: Called with each result that comes back.
        on_error: Called with an error of the checkpoint.
        on_mismatch: Called with the error if the records belong to other inputs.

    Attributes:
        fingerprints: The fingerprints of the items that were passed on, by their indexes.
    """

    def __init__(
        self,
        run: Subscription,
        store: Store,
        codec: Codec | None,
        deliver: Callable[[BatchResult], None],
        on_error: OnCheckpointError,
        on_mismatch: OnCheckpointError,
    ) -> None:
        self._run = run
        self._store = store
        self._own_codec = codec
        self._codec = JsonCodec() if codec is None else codec
        self._deliver = deliver
        self._on_error = on_error
        self._on_mismatch = on_mismatch
        self.fingerprints: dict[int, Fingerprint] = {}
        self._inputs: deque[Indexed[Any]] = deque()
        self._source_end: Callable[[], None] | None = None
        self._records: dict[int, Record] = {}
        self._known: float = 0
        self._matching = False
        self._pass_on: Callable[[Indexed[Any]], None]

    def skip_recorded(self, source: Observable[Indexed[Any]]) -> Observable[Indexed[Any]]:
        """Pass on the items without a record, and deliver the results of the others."""

        def subscribe(
            observer: abc.ObserverBase[Indexed[Any]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._pass_on = observer.on_next
            self._matching = True
            self._store.open(MOST_READ, self._on_read, self._on_error)
            calling = CallingObserver(
                self._on_input,
                lambda error: self._on_source_end(partial(observer.on_error, error)),
                lambda: self._on_source_end(observer.on_completed),
            )
            return source.subscribe(calling, scheduler=scheduler)

        return Direct(subscribe)

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
        """Match waiting inputs while their records are known and the turn of the loop has time."""
        run, inputs = self._run, self._inputs
        self._matching = True
        while inputs and not run.stopped:
            if (index := inputs[0][0]) >= self._known:
                self._store.read(index, MOST_READ, self._on_read, self._on_error)
                return
            if run.turn.is_spent():
                run.loop.call_soon(self._match_waiting)
                return
            self._match(inputs.popleft())
        self._matching = False
        if self._source_end is not None and not run.stopped:
            self._source_end()

    def _match(self, indexed: Indexed[Any]) -> None:
        index, value = indexed
        try:
            fingerprint = take_fingerprint(index, value, self._own_codec)
            record = self._records.pop(index, None)
            result = None if record is None else self._restore_result(record, fingerprint, value)
        except CheckpointError as error:
            self._on_mismatch(error)
            return
        if result is not None:
            self._deliver(result)
        else:
            self.fingerprints[index] = fingerprint
            self._pass_on(indexed)

    def _restore_result(self, record: Record, fingerprint: Fingerprint, value: Any) -> BatchResult:
        if record.fingerprint != fingerprint.digest:
            before = Fingerprint(record.fingerprint, record.preview)
            raise CheckpointError(
                f"{self._store.name} belongs to other inputs: item {record.item} was {before}, "
                f"but is now {fingerprint}; use another file"
            )
        try:
            output = self._codec.decode(record.output)
            metadata = json.loads(record.metadata)
        except FAILURES as error:
            raise CheckpointError(
                f"{self._store.name} holds an output of item {record.item} that the codec cannot "
                f"read: {describe_error(error)}"
            ) from error
        return BatchResult(
            record.item,
            value,
            True,
            output,
            execution_time=record.execution_time,
            metadata={**mark_as_saved(metadata), "resumed": True},
        )

    def _on_source_end(self, signal: Callable[[], None]) -> None:
        self._source_end = signal
        if not self._matching:
            signal()
