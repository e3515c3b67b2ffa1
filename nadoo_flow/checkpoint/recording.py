"""One run with a checkpoint: recorded results come back from it, new ones are recorded first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from reactivex import Observable

from ..errors import describe_error
from ..results.batch_result import BatchResult
from ..storage import FAILURES, Codec, choose_encode, encode_metadata
from ..streams import Indexed, Subscription, Work, WrappedWork
from .delivery import Delivery
from .fingerprint import Fingerprint
from .protocol import Checkpoint, Record
from .resuming import Resuming
from .store import Store

ItemWork: TypeAlias = Work[Indexed[Any], BatchResult]


class Recording:
    """Connects one run with a checkpoint.

    The operator :meth:`skip_recorded` goes before the nodes and :meth:`record_results` behind them.
    Everything here belongs to the thread of the event loop, apart from the calls of the checkpoint.

    Args:
        run: The run.
        checkpoint: Keeps the results.
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
        self._encode = choose_encode(codec)
        self._records: dict[int, Record] = {}
        store = Store(run, checkpoint, node_id, node_type)
        self._delivery = delivery = Delivery(run, store, self._records.pop)
        self._resuming = Resuming(
            run, store, codec, self._deliver_resumed, delivery.fail, delivery.refuse
        )
        self._fingerprints = self._resuming.fingerprints
        self.on_resumed: Callable[[int], None] = _ignore

    def encode_after(self, work: ItemWork) -> ItemWork:
        """Return work that makes the record of each success as well.

        An item whose output cannot be recorded fails. The output, which may have been expensive,
        stays in the failed result.

        Args:
            work: The work on an item.
        """
        return _RecordedWork(work, self._encode, self._fingerprints, self._records)

    def skip_recorded(self, source: Observable[Indexed[Any]]) -> Observable[Indexed[Any]]:
        """Pass on the items without a record, and deliver the results of the others.

        Args:
            source: The items.
        """
        return self._resuming.skip_recorded(source)

    def record_results(self, results: Observable[BatchResult]) -> Observable[BatchResult]:
        """Pass on each success when it is recorded, and each failure at once.

        Args:
            results: The results, as they complete.
        """
        return self._delivery.deliver_recorded(results)

    def _deliver_resumed(self, result: BatchResult) -> None:
        self.on_resumed(result.index)
        self._delivery.deliver(result)


class _RecordedWork(WrappedWork[Indexed[Any], BatchResult]):
    """Makes the record of each success."""

    def __init__(
        self,
        work: ItemWork,
        encode: Callable[[Any], bytes],
        fingerprints: dict[int, Fingerprint],
        records: dict[int, Record],
    ) -> None:
        super().__init__(work)
        self._encode = encode
        self._pop_fingerprint = fingerprints.pop
        self._records = records

    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        result = self._finish(item, answer, started)
        index = item[0]
        digest, preview = self._pop_fingerprint(index)
        if result.success:
            try:
                output = self._encode(result.output)
            except FAILURES as error:
                _fail_unrecorded(result, error)
            else:
                metadata = encode_metadata(result.metadata)
                seconds = result.execution_time or 0.0
                self._records[index] = Record(index, digest, preview, output, metadata, seconds)
        return result

    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> BatchResult:
        self._pop_fingerprint(item[0], None)
        return self._fail(item, error, started)


def _fail_unrecorded(result: BatchResult, error: BaseException) -> None:
    result.success = False
    result.exception = error
    result.error = (
        f"the output cannot be recorded: {describe_error(error)}; "
        "another codec= can store what JSON cannot"
    )


def _ignore(index: int) -> None:
    """Stand for ``on_resumed`` where no events are reported."""
