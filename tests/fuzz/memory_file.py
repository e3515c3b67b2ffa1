"""A file in memory that a run opens, works on and closes, and whose disk may fail."""

from __future__ import annotations

from .case import Disk
from .ledger import Ledger


class MemoryFile:
    """Finds whether it is used only while it is open, and left closed.

    Attributes:
        disk: At which use it fails.
        has_failed: Whether it has.
        ledger: The books of the current run.
    """

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.has_failed = False
        self.ledger = Ledger()
        self._is_open = False
        self._calls = 0

    def close(self) -> None:
        """Note that it is no longer in use."""
        self._check_open()
        self._is_open = False

    def check_end(self) -> None:
        """Check that it is left closed."""
        if self._is_open:
            self.ledger.find("a checkpoint is left open")

    def _open(self) -> None:
        if self._is_open:
            self.ledger.find("a checkpoint is opened twice")
        self._work()
        self._is_open = True

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
