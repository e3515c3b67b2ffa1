"""What takes the failures of a batch, and checks that each comes once, before its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nadoo_flow import BatchResult, DeadLetterError

from .case import Batch, Case
from .endings import End
from .facts import TO_THE_END
from .ledger import Ledger

FAILS_AT = 3
"""The letter that a sink which fails does not take."""


class Letters:
    """The letters of one run.

    Attributes:
        taken: The indexes of the failures, in the order in which they came.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.taken: list[int] = []
        self._ledger = ledger
        self._are_on = False

    def make_sink(self, kind: str) -> Callable[[BatchResult], Any] | None:
        """Make what a processor gets as ``failed_to``."""
        sinks = {"": None, "sync": self._take, "async": self._take_slowly, "fails": self._fail}
        self._are_on = bool(kind)
        return sinks[kind]

    def receive(self, result: BatchResult) -> None:
        """Check a result when it is handed out."""
        if self._are_on and not result.success and result.index not in self.taken:
            self._ledger.find("a failure is handed out before its letter")

    def check(self, case: Case, batch: Batch, end: End) -> None:
        """Check the letters of a run that is over."""
        if len(set(self.taken)) != len(self.taken):
            self._ledger.find("a failure has more than one letter")
        if isinstance(end.error, DeadLetterError) and not end.error.results:
            self._ledger.find("the failure without a letter is lost")
        to_the_end = case.ending.kind in TO_THE_END and end.kind == "completed"
        orderly = not (self._ledger.fatal or self._ledger.closed_from_inside)
        if self._are_on and to_the_end and batch.continue_on_error and orderly:
            failed = {result.index for result in self._ledger.received if not result.success}
            if failed != set(self.taken):
                self._ledger.find(f"items {sorted(failed ^ set(self.taken))} have a wrong letter")

    def _take(self, result: BatchResult) -> None:
        if result.success:
            self._ledger.find("a success has a letter")
        self.taken.append(result.index)

    async def _take_slowly(self, result: BatchResult) -> None:
        await asyncio.sleep(0.2)
        self._take(result)

    def _fail(self, result: BatchResult) -> None:
        if len(self.taken) == FAILS_AT - 1:
            raise OSError(28, "planned")
        self._take(result)
