"""The file of a chain's checkpoint in memory, which outlives a run, and whose disk may fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from nadoo_flow.checkpoint import StageName, StepQuery, StepRecord
from nadoo_flow.stages import resuming

from .case import Disk, Stage
from .ledger import Ledger
from .memory_file import MemoryFile
from .replacing import replaced

Place = tuple[str, str, int]
"""A stage, an item of it, and the position of an output of that."""


class MemorySteps(MemoryFile):
    """Keeps the records of a case, and finds what it may not be asked.

    Attributes:
        stages: The stages of the first run.
        records: What is kept.
        before: What was kept before the current run.
        has_failed: Whether its disk has failed, in this run or an earlier one.
        earlier: The books of the run before, if there was one.
        ledger: Those of the current one.
    """

    name = "the checkpoint"

    def __init__(self, disk: Disk, stages: tuple[Stage, ...]) -> None:
        super().__init__(disk)
        self.stages = stages
        self.records: dict[Place, StepRecord] = {}
        self.before: frozenset[Place] = frozenset()
        self.earlier: Ledger | None = None
        self._stages: list[StageName] | None = None
        self._runs = 0

    def begin(self, ledger: Ledger) -> None:
        """Get ready for the next run of the case."""
        self.earlier = self.ledger if self._runs else None
        self.ledger = ledger
        self.before = frozenset(self.records)
        self._runs += 1

    @contextmanager
    def used(self) -> Iterator[str]:
        """Have chains use it inside the block, for any path."""
        with replaced(resuming, "StepsFile", lambda path: self):
            yield "a path"

    def open(self, stages: Sequence[StageName]) -> dict[str, int]:
        """Note that it is in use, and count the items of each stage."""
        self._open()
        if self._stages is not None and self._stages != [*stages]:
            self.ledger.find("the stages have other names in the second run")
        self._stages = [*stages]
        items = {(stage, item) for stage, item, _ in self.records}
        return {stage: sum(one == stage for one, _ in items) for stage, _ in items}

    def read(self, queries: Iterable[StepQuery]) -> list[list[StepRecord]]:
        """Return what was recorded."""
        self._check_open()
        return [self._find(query) for query in queries]

    def write(self, records: Iterable[StepRecord]) -> None:
        """Keep records, each once."""
        self._check_open()
        self._work()
        for record in records:
            place = record.stage, record.item, record.output
            if place in self.records:
                self.ledger.find("what is recorded is recorded again")
            self.records[place] = record

    def _find(self, query: StepQuery) -> list[StepRecord]:
        places = sorted(
            place
            for place in self.records
            if place[:2] == (query.stage, query.item) and place[2] >= query.start
        )
        return [self.records[place] for place in places[: query.limit]]
