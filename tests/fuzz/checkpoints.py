"""A checkpoint in memory, which outlives a run, and whose disk may be slow or fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nadoo_flow import BatchResult
from nadoo_flow.checkpoint import Record

from .case import Disk
from .ledger import Ledger
from .memory_file import MemoryFile


class MemoryCheckpoint(MemoryFile):
    """Keeps the records of a case, and finds what it may not be asked.

    Attributes:
        records: What is kept, by index.
        before: What was kept before the current run.
        has_failed: Whether its disk has failed.
    """

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.records: dict[int, Record] = {}
        self.before: frozenset[int] = frozenset()

    def begin(self, ledger: Ledger) -> None:
        """Get ready for the next run of the case."""
        self.ledger = ledger
        self.has_failed = False
        self.before = frozenset(self.records)

    def open(self, node_id: str, node_type: str) -> None:
        """Note that it is in use."""
        self._open()

    def read_completed(self, start: int, limit: int) -> Sequence[Record]:
        """Return what was recorded."""
        self._check_open()
        self._work()
        return [self.records[item] for item in sorted(self.records) if item >= start][:limit]

    def record(self, records: Iterable[Record]) -> None:
        """Keep records, each once."""
        self._check_open()
        self._work()
        for record in records:
            if record.item in self.records:
                self.ledger.find("what is recorded is recorded again")
            self.records[record.item] = record

    def receive(self, result: BatchResult) -> None:
        """Check a result when it is handed out."""
        if result.success and result.index not in self.records:
            self.ledger.find("a success is handed out before it is recorded")
        if (result.index in self.before) != bool(result.metadata.get("resumed")):
            self.ledger.find("what was recorded before is not resumed, or something else is")
