"""Before the nodes: inputs whose results are recorded are not passed on, they have come back."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from reactivex import Observable, abc

from ..errors import describe_error
from ..results.batch_result import BatchResult
from ..streams import Indexed, Subscription
from .codec import JsonCodec
from .fingerprint import Fingerprint, fingerprint_of
from .protocol import CheckpointError, Codec, Record
from .store import OnFailed, Store

MOST_READ = 256
"""Records that are read from the checkpoint at a time."""


class Resuming:
    """Matches the inputs of one run with the records of its checkpoint, in their order.

    Args:
        run: The run.
        store: Has the records.
        codec: The user's own, or None for JSON.
        deliver: Gets each result that comes back.
        failed: Told of an error of the checkpoint.
        refused: Told that these are not the inputs to which the records belong.

    Attributes:
        fingerprints: Of the items that were passed on, by their indexes.
    """

    def __init__(
        self,
        run: Subscription,
        store: Store,
        codec: Codec | None,
        deliver: Callable[[BatchResult], None],
        failed: OnFailed,
        refused: OnFailed,
    ) -> None:
        self._run = run
        self._store = store
        self._own_codec = codec
        self._codec = JsonCodec() if codec is None else codec
        self._deliver = deliver
        self._failed = failed
        self._refused = refused
        self.fingerprints: dict[int, Fingerprint] = {}
        self._inputs: deque[Indexed[Any]] = deque()
        self._source_end: Callable[[], None] | None = None
        self._records: dict[int, Record] = {}
        self._known: float = 0
        self._matching = False
        self._pass_on: Callable[[Indexed[Any]], None]

    def operator(self, source: Observable[Indexed[Any]]) -> Observable[Indexed[Any]]:
        """Pass on the items that are not done; the others go around the nodes as results."""

        def subscribe(
            observer: abc.ObserverBase[Indexed[Any]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._pass_on = observer.on_next
            self._matching = True
            self._store.open(MOST_READ, self._on_read, self._failed)
            return source.subscribe(
                self._on_input,
                lambda error: self._on_source_end(partial(observer.on_error, error)),
                lambda: self._on_source_end(observer.on_completed),
                scheduler=scheduler,
            )

        return Observable(subscribe)

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
                self._store.read(index, MOST_READ, self._on_read, self._failed)
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
            fingerprint = fingerprint_of(index, value, self._own_codec)
            record = self._records.pop(index, None)
            result = None if record is None else self._result_of(record, fingerprint, value)
        except CheckpointError as error:
            self._refused(error)
            return
        if result is not None:
            self._deliver(result)
        else:
            self.fingerprints[index] = fingerprint
            self._pass_on(indexed)

    def _result_of(self, record: Record, fingerprint: Fingerprint, value: Any) -> BatchResult:
        if record.fingerprint != fingerprint.digest:
            before = Fingerprint(record.fingerprint, record.preview)
            raise CheckpointError(
                f"{self._store.name} belongs to other inputs: item {record.item} was {before}, "
                f"but is now {fingerprint}; use another file"
            )
        try:
            output = self._codec.decode(record.output)
            metadata = json.loads(record.metadata)
        except Exception as error:
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
            metadata={**metadata, "resumed": True},
        )

    def _on_source_end(self, signal: Callable[[], None]) -> None:
        self._source_end = signal
        if not self._matching:
            signal()
