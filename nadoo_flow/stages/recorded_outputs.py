"""The outputs of a FlatMapNode in a run with a checkpoint."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from types import CoroutineType
from typing import Any

from typing_extensions import override

from .._support.tasks import is_closing, is_to_end
from ..checkpoint import CheckpointError, Fingerprint, Request, StepRecord
from ..storage import encode_metadata
from ..streams import (
    AroundOutputs,
    Hold,
    Indexed,
    ManyWork,
    Outlet,
    Outputs,
    are_async,
)
from .held_outputs import RecordedOutput
from .indexes import get_path
from .recording import Recorder

END = -1
"""Stands for the position of an output in the record that an item has given all of them."""

_NOTHING: Any = object()
"""Stands for an output where there is none."""

MOST_READ = 64
"""Outputs that are read from the checkpoint at a time."""


class _Item:
    """An item whose outputs are pulled.

    Attributes:
        index: Its index, which identifies it.
        value: The item.
        fingerprint: Its fingerprint, if it has one.
        has_records: Whether some of its outputs may be recorded that were not read.
        records: Outputs that were read.
        number: The position of its next output.
        written: Done when the latest record is on the disk; None where there is none.
    """

    def __init__(
        self, index: int, value: Any, fingerprint: Fingerprint | None, *, has_records: bool
    ) -> None:
        self.index = index
        self.value = value
        self.fingerprint = fingerprint
        self.has_records = has_records
        self.records: deque[StepRecord] = deque()
        self.number = 0
        self.written: Request | None = None


class RecordedManyWork(ManyWork[Indexed[Any]]):
    """Gives what is recorded of an item; opens and records the outputs that are missing.

    An item that had not given all of its outputs is worked on again. Those of its outputs that are
    recorded, and may have been used, count instead of the new ones in their places.

    Args:
        recorder: Records the stage.
        work: The work.
    """

    def __init__(self, recorder: Recorder, work: ManyWork[Indexed[Any]]) -> None:
        self._recorder = recorder
        self._work = work
        self._refused: CheckpointError | None = None

    @override
    def pull(self, item: Indexed[Any], outlet: Outlet) -> Any:
        return self._pull(item, outlet)

    @override
    def fail(self, item: Indexed[Any], error: BaseException, outputs: int) -> None:
        if error is self._refused:
            raise error
        self._work.fail(item, error, outputs)

    async def _pull(self, item: Indexed[Any], outlet: Outlet) -> None:
        recorder = self._recorder
        try:
            index, fingerprint = recorder.identify(item)
            (found, *_) = [*await recorder.find(index, END), None]
            if found is not None:
                recorder.check(found, fingerprint)
        except CheckpointError as error:
            self._refuse(error)
            raise
        pulled = _Item(index, item[1], fingerprint, has_records=found is not None)
        recorded = _RecordedOutlet(recorder, pulled, outlet, self._refuse)
        if found is not None and found.output == END:
            recorder.count_saved(found)
            await recorded.pull_recorded()
            return
        try:
            answer = self._work.pull(item, recorded)
            if type(answer) is CoroutineType:
                answer = await answer
            self._work.check(item, answer)
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            if isinstance(error, GeneratorExit) and is_closing():
                raise
            # The error would overtake the outputs that were given before.
            await recorded.wait_until_written()
            raise
        if is_to_end():
            # Of an item that swallows the end of its run no more outputs are pulled.
            raise asyncio.CancelledError
        # A lane takes no other item before it is recorded that this one has no more outputs.
        recorded.record(None, END, b"", recorder.take_usage())
        await recorded.wait_until_written()

    def _refuse(self, error: CheckpointError) -> None:
        self._refused = error
        self._recorder.refuse(error)


class _RecordedOutlet:
    """Takes the outputs of an item, and records them.

    Args:
        recorder: Records the stage.
        item: The item.
        outlet: Where the outputs go.
        refuse: Called with the error if a record cannot be read.
    """

    def __init__(
        self,
        recorder: Recorder,
        item: _Item,
        outlet: Outlet,
        refuse: Callable[[CheckpointError], None],
    ) -> None:
        self._recorder = recorder
        self._item = item
        self._outlet = outlet
        self._refuse = refuse

    @property
    def holds(self) -> list[Hold]:
        """What the item holds at the moment."""
        return self._outlet.holds

    @property
    def outputs(self) -> int:
        """How many outputs were taken."""
        return self._outlet.outputs

    def pull(self, outputs: Outputs[Any]) -> Coroutine[Any, Any, None]:
        """Take outputs, after those that are recorded in their places."""
        return self._outlet.pull(_RecordedOutputs(self, outputs))

    def pull_recorded(self) -> Coroutine[Any, Any, None]:
        """Take the outputs that are recorded, which are all."""
        return self._outlet.pull(_RecordedOutputs(self, iter(())))

    async def find_next(self) -> StepRecord | None:
        """Return the record of the next output, if there is one."""
        item = self._item
        if item.has_records and not item.records:
            found = await self._recorder.read(item.index, item.number, MOST_READ)
            item.records.extend(found)
            item.has_records = len(found) == MOST_READ
        return item.records.popleft() if item.records else None

    def give(self, output: Any) -> RecordedOutput:
        """Return an output that was made, on its way to the disk."""
        number = self._item.number
        return self._number(output, self.record(output, number, self._recorder.encode(output), {}))

    def give_recorded(self, record: StepRecord) -> RecordedOutput:
        """Return an output that is recorded.

        Raises:
            CheckpointError: If it cannot be read.
        """
        try:
            return self._number(self._recorder.decode(record), None)
        except CheckpointError as error:
            self._refuse(error)
            raise

    def record(self, output: Any, number: int, data: bytes, used: dict[str, Any]) -> Request:
        """Record an output, or the end."""
        item = self._item
        metadata = encode_metadata(used)
        item.written = self._recorder.record(
            (item.index, item.value), output, data, item.fingerprint, metadata, number=number
        )
        return item.written

    async def wait_until_written(self) -> None:
        """Wait until all that the item has given is on the disk."""
        if self._item.written is not None:
            await self._recorder.journal.wait_for(self._item.written)

    def _number(self, value: Any, written: Request | None) -> RecordedOutput:
        path = f"{get_path(self._item.index)}.{self._item.number}"
        self._item.number += 1
        return RecordedOutput(path, value, written)


class _RecordedOutputs(AroundOutputs[RecordedOutput], AsyncIterator[RecordedOutput]):
    """Iterates over recorded outputs, and over others, which it records."""

    def __init__(self, outlet: _RecordedOutlet, outputs: Outputs[Any]) -> None:
        super().__init__(outputs)
        self._outlet = outlet
        self._has_more = True

    async def __anext__(self) -> RecordedOutput:
        output = await self._pull() if self._has_more else _NOTHING
        self._has_more = output is not _NOTHING
        # Behind the pull, or the record would be lost to the next attempt where that fails.
        record = await self._outlet.find_next()
        if record is not None:
            return self._outlet.give_recorded(record)
        if output is _NOTHING:
            raise StopAsyncIteration
        return self._outlet.give(output)

    async def _pull(self) -> Any:
        """Pull an output of the child, if there is another."""
        if are_async(self._outputs):
            return await anext(self._outputs, _NOTHING)
        try:
            return next(self._outputs, _NOTHING)
        except StopAsyncIteration as error:
            # It would be taken for the end; Python says this where an async generator raises it.
            raise RuntimeError("generator raised StopAsyncIteration") from error
