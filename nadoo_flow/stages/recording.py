"""The work of a stage in a run with a checkpoint: what was recorded is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from .._support.usage import read_numbers
from ..checkpoint import CheckpointError, Fingerprint, Journal, Request, StepQuery, StepRecord
from ..errors import describe_error
from ..nodes.usage import mark_as_saved
from ..results.batch_result import BatchResult
from ..storage import FAILURES, encode_metadata
from ..streams import Indexed, Work, WrappedWork, do_work
from .identity import Identity, follow
from .indexes import get_path, get_source_index


def _ignore(metadata: dict[str, Any]) -> None:
    """Stand for ``on_usage`` where that is counted elsewhere."""


class Recorder:
    """Records what one stage makes of each item, and finds what was recorded.

    Args:
        journal: The checkpoint of the run.
        node_id: The stage, for errors.
        key: Identifies the stage in the checkpoint.
        identify: Identifies the items of the stage.
        on_usage: Called with the metadata of each answer that says what it used.

    Attributes:
        journal: The checkpoint of the run.
        identify: Identifies the items of the stage.
    """

    def __init__(
        self,
        journal: Journal,
        node_id: str,
        key: str,
        identify: Identity = follow,
        on_usage: Callable[[dict[str, Any]], None] = _ignore,
    ) -> None:
        self.journal = journal
        self._node_id = node_id
        self._key = key
        self._on_usage = on_usage
        self._used: dict[str, Any] = {}
        self.identify = identify

    def enter(self, part: str, identify: Identity = follow) -> Recorder:
        """Return the recorder of a part of the stage, behind another part by default."""
        key = f"{self._key}.{part}"
        return Recorder(self.journal, self._node_id, key, identify, self._on_usage)

    def note_usage(self, metadata: dict[str, Any]) -> None:
        """Count what was used for an item, and keep it for the record, which is made next."""
        self._on_usage(metadata)
        self._used = metadata

    def take_usage(self) -> dict[str, Any]:
        """Return what was used for the item that has just ended."""
        used, self._used = self._used, {}
        return {name: read_numbers(used[name]) for name in ("usage", "saved") if name in used}

    async def find(self, index: int, start: int = 0) -> list[StepRecord]:
        """Return the first record of an item, from an output on, if there is one; called once."""
        return await self.journal.find(StepQuery(self._key, get_path(index), start, 1))

    async def read(self, index: int, start: int, limit: int) -> list[StepRecord]:
        """Return records of an item of which one was found."""
        return await self.journal.read(StepQuery(self._key, get_path(index), start, limit))

    def encode(self, value: Any) -> bytes:
        """Encode an output.

        Raises:
            TypeError: If that is not possible.
        """
        try:
            return self.journal.encode(value)
        except FAILURES as error:
            raise TypeError(
                f"the output cannot be recorded: {describe_error(error)}; "
                "another codec= can store what JSON cannot"
            ) from error

    def decode(self, record: StepRecord) -> Any:
        """Return the output that a record holds.

        Raises:
            CheckpointError: If the codec cannot read it.
        """
        try:
            return self.journal.decode(record.value)
        except FAILURES as error:
            raise CheckpointError(
                f"{self.journal.name} holds an output of item {record.item} of the stage "
                f"{self._node_id!r} that the codec cannot read: {describe_error(error)}"
            ) from error

    def check(self, record: StepRecord, fingerprint: Fingerprint | None) -> None:
        """Check that a record belongs to an input.

        Raises:
            CheckpointError: If it belongs to another one.
        """
        if fingerprint is not None and record.fingerprint != fingerprint.digest:
            before = Fingerprint(record.fingerprint, record.preview)
            raise CheckpointError(
                f"{self.journal.name} belongs to other inputs: item {record.item} was {before}, "
                f"but is now {fingerprint}; use another file"
            )

    def count_saved(self, record: StepRecord) -> None:
        """Count what is not used again, because there is a record."""
        metadata = json.loads(record.metadata)
        if metadata:
            self._on_usage(mark_as_saved(metadata))

    def record(
        self,
        item: Indexed[Any],
        output: Any,
        data: bytes,
        fingerprint: Fingerprint | None,
        metadata: bytes,
        *,
        number: int = 0,
    ) -> Request:
        """Record an output, and return what is done when it is on the disk.

        Args:
            item: The item, with the index that identifies it.
            output: The output.
            data: The output, encoded.
            fingerprint: That of the item, if it has one.
            metadata: What was used for it, encoded.
            number: The position of the output among those of the item.
        """
        index, value = item
        digest, preview = (b"", "") if fingerprint is None else fingerprint
        record = StepRecord(self._key, get_path(index), number, digest, preview, data, metadata)
        stage = {"stage": self._node_id}
        result = BatchResult(get_source_index(index), value, True, output, metadata=stage)
        return self.journal.record(record, result)

    def refuse(self, error: CheckpointError) -> None:
        """End the run, because the checkpoint does not belong to it or cannot be read."""
        self.journal.refuse(error)


class RecordedWork(WrappedWork[Indexed[Any], Indexed[Any]]):
    """Returns what is recorded of an item, or does the work and records what came of it.

    A lane takes no other item before the record of this one is on the disk. So no more items are
    repeated when the process is killed than there are lanes.

    Args:
        recorder: Records the stage.
        work: The work.
        encode: Encodes a value that it returns; None for one that is not to be recorded.
        decode: Makes the value again, of its record and of the value of the item.
    """

    def __init__(
        self,
        recorder: Recorder,
        work: Work[Indexed[Any], Indexed[Any]],
        encode: Callable[[Any], bytes | None],
        decode: Callable[[StepRecord, Any], Any],
    ) -> None:
        super().__init__(work)
        self._recorder = recorder
        self._work = work
        self._encode = encode
        self._decode = decode

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        return self._find_or_do(item, started)

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> Indexed[Any]:
        result: Indexed[Any] = answer
        return result

    @override
    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> Indexed[Any]:
        raise error  # what the work itself makes of an error has been made of it

    async def _find_or_do(self, item: Indexed[Any], started: float) -> Indexed[Any]:
        recorder, value = self._recorder, item[1]
        try:
            index, fingerprint = recorder.identify(item)
            for record in await recorder.find(index):
                recorder.check(record, fingerprint)
                recorder.count_saved(record)
                return index, self._decode(record, value)
        except CheckpointError as error:
            recorder.refuse(error)
            raise
        try:
            result = (await do_work(self._work, item, started))[1]
            try:
                data = self._encode(result)
            except TypeError as error:
                return self._fail(item, error, started)
            if data is not None:
                used = encode_metadata(recorder.take_usage())
                written = recorder.record((index, value), result, data, fingerprint, used)
                await recorder.journal.wait_for(written)
        finally:
            recorder.take_usage()
        return index, result
