"""Bugs in how chains go on from a checkpoint, and in how failures come to their letters."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any

from nadoo_flow.batch import letters
from nadoo_flow.checkpoint.journal import Journal
from nadoo_flow.stages.recording import Recorder

from .replacing import Planting, replaced


def recorded_steps_run_again() -> AbstractContextManager[None]:
    """Find no record of any stage."""

    async def find(journal: Journal, query: Any) -> list[Any]:
        return []

    return replaced(Journal, "find", find)


def steps_go_on_unrecorded() -> AbstractContextManager[None]:
    """Let an item go on before its record is on the disk."""
    inherited = Journal.record

    def record(journal: Journal, *arguments: Any) -> Any:
        request = inherited(journal, *arguments)
        request.is_done = True
        return request

    return replaced(Journal, "record", record)


def unwritten_steps_are_lost() -> AbstractContextManager[None]:
    """Write nothing any more at the end of a run."""
    inherited = Journal._close_file
    return replaced(Journal, "_close_file", lambda journal, records: inherited(journal, []))


def ends_of_many_outputs_are_forgotten() -> AbstractContextManager[None]:
    """Take all that an item has given for a part of its outputs."""
    inherited = Recorder.find

    async def find(recorder: Recorder, index: int, start: int = 0) -> list[Any]:
        return [record for record in await inherited(recorder, index, start) if record.output >= 0]

    return replaced(Recorder, "find", find)


def failures_have_no_letter() -> AbstractContextManager[None]:
    """Forget each second letter."""
    inherited = letters._hand_over

    async def hand_over(sink: Any, result: Any, as_failure: Any) -> Any:
        return None if result.index % 2 else await inherited(sink, result, as_failure)

    return replaced(letters, "_hand_over", hand_over)


def letters_come_late() -> AbstractContextManager[None]:
    """Hand a failure over when its result is out."""

    async def hand_over(sink: Any, result: Any, as_failure: Any) -> Any:
        asyncio.get_running_loop().call_later(0.1, sink.take, result)

    return replaced(letters, "_hand_over", hand_over)


_CHAIN = r"way='(run|stream|observe)'.*Disk\("
_CUT_CHAIN = r"^(?!.*(flat_map|reduce)).*way=.(run|stream|observe).*Disk\(seconds=(0.3|1.0)"
_LETTERS = r"letters='"

BUGS: dict[Planting, str] = {
    recorded_steps_run_again: _CHAIN,
    steps_go_on_unrecorded: _CHAIN,
    unwritten_steps_are_lost: _CUT_CHAIN,
    ends_of_many_outputs_are_forgotten: _CHAIN,
    failures_have_no_letter: _LETTERS,
    letters_come_late: _LETTERS,
}
