"""One run with a checkpoint: recorded results come back from it, new ones are recorded first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from reactivex import Observable

from ..errors import describe_error
from ..results.batch_result import BatchResult
from ..storage import FAILURES, Codec, JsonCodec, encode_metadata
from ..streams import Indexed, Subscription, Work, WrappedWork
from .delivery import Delivery
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
        self._codec = JsonCodec() if codec is None else codec
        self._encoded: dict[int, bytes] = {}
        store = Store(run, checkpoint, node_id, node_type)
        self._delivery = delivery = Delivery(run, store, self._make_record)
        self._resuming = Resuming(
            run, store, codec, self._deliver_resumed, delivery.fail, delivery.refuse
        )
        self.on_resumed: Callable[[int], None] = _ignore

    def encode_after(self, work: ItemWork) -> ItemWork:
        """Return work that fails an item whose output cannot be recorded.

        The output, which may have been expensive, stays in the failed result.

        Args:
            work: The work on an item.
        """
        return _EncodedWork(work, self._encode)

    def _encode(self, index: int, result: BatchResult) -> None:
        try:
            self._encoded[index] = self._codec.encode(result.output)
        except FAILURES as error:
            result.success = False
            result.exception = error
            result.error = (
                f"the output cannot be recorded: {describe_error(error)}; "
                "another codec= can store what JSON cannot"
            )

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

    def _make_record(self, result: BatchResult) -> Record | None:
        fingerprint = self._resuming.fingerprints.pop(result.index)
        if not result.success:
            return None
        return Record(
            result.index,
            fingerprint.digest,
            fingerprint.preview,
            self._encoded.pop(result.index),
            encode_metadata(result.metadata),
            result.execution_time or 0.0,
        )


class _EncodedWork(WrappedWork[Indexed[Any], BatchResult]):
    """Encodes each output for the checkpoint."""

    def __init__(self, work: ItemWork, encode: Callable[[int, BatchResult], None]) -> None:
        super().__init__(work)
        self._encode = encode

    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        result = self._finish(item, answer, started)
        if result.success:
            self._encode(item[0], result)
        return result


def _ignore(index: int) -> None:
    """Stand for ``on_resumed`` where no events are reported."""
