"""The checkpoint of one run of a chain: what its stages find in it, and what they write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from reactivex import Observable

from .._support.report_error import report_error
from .._support.tasks import is_to_end
from ..results.batch_result import BatchResult
from ..storage import Codec, JsonCodec, choose_encode
from ..streams import Indexed, Subscription
from .disk import DiskThread
from .gate import Gate
from .protocol import CheckpointError
from .request import Request
from .steps import StageName, StepQuery, StepRecord, StepsFile

QUIET_TURNS = 2
"""Turns of the loop without anything new after which the disk is called."""


class Journal:
    """Reads and writes the records of one run.

    What is asked for while the file is in use goes into the next group. Records are written in the
    order in which they come, so where the record of an item is, those are that led to it.

    Args:
        run: The run.
        file: The file.
        stages: The stages of the chain that the file must belong to.
        codec: The user's own, or None for JSON.

    Attributes:
        own_codec: The user's own codec, if there is one.
        encode: Encodes an output.
        decode: Reads one that was encoded.
        name: The name of the file in messages.
    """

    def __init__(
        self, run: Subscription, file: StepsFile, stages: Sequence[StageName], codec: Codec | None
    ) -> None:
        self._run = run
        self._file = file
        self._stages = stages
        self.own_codec = codec
        self.encode = choose_encode(codec)
        self.decode = (JsonCodec() if codec is None else codec).decode
        self.name = file.name
        self._thread = DiskThread(run)
        self._gate = Gate(run)
        self._is_open = False
        self._is_busy = True
        # How many items of earlier runs each stage has not found yet.
        self._unread: dict[str, int] = {}
        self._reads: list[tuple[StepQuery, Request]] = []
        self._writes: list[tuple[StepRecord, Request, BatchResult]] = []
        self._on_written: list[Callable[[], None]] = []
        run.add_cleanup(self._close)

    def hold_until_open(self, items: Observable[Indexed[Any]]) -> Observable[Indexed[Any]]:
        """Open the file, and let no item pass before it is known to be that of the chain.

        Args:
            items: What the source emits.
        """
        self._thread.call(self._open_file, self._on_open, self._fail)
        return self._gate.hold(items)

    async def find(self, query: StepQuery) -> list[StepRecord]:
        """Return the records of an item, for which this is called once.

        Nothing is read where all items of earlier runs were found.

        Args:
            query: Asks for the first records of the item.
        """
        if not self._unread.get(query.stage):
            return []
        found = await self.read(query)
        if found:
            self._unread[query.stage] -= 1
        return found

    async def read(self, query: StepQuery) -> list[StepRecord]:
        """Return records of an item.

        Args:
            query: Asks for the records.
        """
        request = Request()
        self._reads.append((query, request))
        self._call_soon()
        return await self.wait_for(request)

    def record(self, record: StepRecord, result: BatchResult) -> Request:
        """Write a record, and return what is done when it is on the disk.

        Args:
            record: The record.
            result: What was to be recorded, for the error if that fails.
        """
        request = Request()
        self._writes.append((record, request, result))
        self._call_soon()
        return request

    def call_when_written(self, function: Callable[[], None]) -> None:
        """Call a function each time when records are on the disk, before the lanes go on.

        Args:
            function: Called in the thread of the event loop.
        """
        self._on_written.append(function)

    def refuse(self, error: CheckpointError) -> None:
        """End the run and write nothing more, because the file belongs to other inputs.

        Args:
            error: Says which inputs the file belongs to.
        """
        self._writes.clear()
        self._run.fail(error)

    async def wait_for(self, request: Request) -> list[StepRecord]:
        """Return what was found when a request is done.

        Args:
            request: What was begun.
        """
        while not request.is_done:
            if self._run.stopped or is_to_end():
                raise asyncio.CancelledError
            request.waiter = self._run.loop.create_future()
            try:
                await request.waiter
            except asyncio.CancelledError:
                # The item is finished, so a cancellation that it has left behind is nothing to it.
                if is_to_end():
                    raise
        return request.answer

    def _call_soon(self) -> None:
        if not self._is_busy:
            self._is_busy = True
            self._run.loop.call_soon(self._gather, 0, 0)

    def _gather(self, known: int, quiet: int) -> None:
        """Call the disk when some turns of the loop have brought nothing more.

        Lanes that the last call has woken may soon have a record again. They wait for the disk, so
        those that miss a group stand still for two calls instead of one.

        Args:
            known: How much there was to do in the turn before.
            quiet: How many turns have brought nothing more.
        """
        pending = len(self._reads) + len(self._writes)
        quiet = quiet + 1 if pending == known else 0
        if quiet == QUIET_TURNS:
            self._call()
        else:
            self._run.loop.call_soon(self._gather, pending, quiet)

    def _call(self) -> None:
        if self._run.stopped:
            return
        reads, self._reads = self._reads, []
        writes, self._writes = self._writes, []
        exchange = partial(
            self._exchange, [query for query, _ in reads], [record for record, *_ in writes]
        )

        def on_answers(answers: list[list[StepRecord]]) -> None:
            self._is_busy = False
            for (_, request), answer in zip(reads, answers, strict=True):
                request.finish(answer)
            for _, request, _ in writes:
                request.finish([])
            for on_written in self._on_written:
                on_written()
            if self._reads or self._writes:
                self._call_soon()

        self._thread.call(exchange, on_answers, partial(self._fail, group=writes))

    def _exchange(
        self, queries: list[StepQuery], records: list[StepRecord]
    ) -> list[list[StepRecord]]:
        """Write and read, in the thread."""
        if records:
            self._file.write(records)
        return self._file.read(queries)

    def _open_file(self) -> dict[str, int]:
        counts = self._file.open(self._stages)
        self._is_open = True
        return counts

    def _on_open(self, counts: dict[str, int]) -> None:
        self._unread = counts
        self._is_busy = False
        self._gate.open()

    def _fail(
        self,
        error: CheckpointError,
        group: Sequence[tuple[StepRecord, Request, BatchResult]] = (),
    ) -> None:
        error.unrecorded = [result for _, _, result in (*group, *self._writes)]
        self._writes.clear()
        if self._run.stopped:
            report_error(self._run.loop, "the checkpoint of a run that had ended failed", error)
        else:
            self._run.fail(error)

    async def _close(self) -> None:
        """Write what was finished when the run ended, and close the file."""
        await self._thread.finish(
            partial(self._close_file, [record for record, *_ in self._writes])
        )

    def _close_file(self, records: list[StepRecord]) -> None:
        if not self._is_open:
            return
        try:
            if records:
                self._file.write(records)
        finally:
            self._file.close()
