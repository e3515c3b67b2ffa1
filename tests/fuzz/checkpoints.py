"""A checkpoint in memory, which outlives a run, and whose disk may be slow or fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nadoo_flow import BatchResult
from nadoo_flow.checkpoint import Record

from .case import Disk
from .ledger import Ledger


class MemoryCheckpoint:
    """Keeps the records of a case, and finds what it may not be asked.

    Attributes:
        records: What is kept, by index.
        before: What was kept before the current run.
        has_failed: Whether its disk has failed.
    """

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.records: dict[int, Record] = {}
        self.before: frozenset[int] = frozenset()
        self.has_failed = False
        self.ledger = Ledger()
        self._is_open = False
        self._calls = 0

    def begin(self, ledger: Ledger) -> None:
        """Get ready for the next run of the case."""
        self.ledger = ledger
        self.has_failed = False
        self.before = frozenset(self.records)

    def open(self, node_id: str, node_type: str) -> None:
        """Note that it is in use."""
        if self._is_open:
            self.ledger.find("a checkpoint is opened twice")
        self._work()
        self._is_open = True

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

    def close(self) -> None:
        """Note that it is no longer in use."""
        self._check_open()
        self._is_open = False

    def receive(self, result: BatchResult) -> None:
        """Check a result when it is handed out."""
        if result.success and result.index not in self.records:
            self.ledger.find("a success is handed out before it is recorded")
        if (result.index in self.before) != bool(result.metadata.get("resumed")):
            self.ledger.find("what was recorded before is not resumed, or something else is")

    def check_end(self) -> None:
        """Check that it is left closed."""
        if self._is_open:
            self.ledger.find("a checkpoint is left open")

    def _check_open(self) -> None:
        if not self._is_open:
            self.ledger.find("a checkpoint is used that is not open")

    def _work(self) -> None:
        self._calls += 1
        if self._calls == self.disk.fails_at:
            self.has_failed = True
            error = OSError(28, "planned")
            self.ledger.closing.append(error)
            raise error
