"""The iterator of the results of a batch."""

from __future__ import annotations

from typing import Generic

from typing_extensions import override

from .._support.typevars import Input, Output
from ..results.batch_result import BatchResult
from ..results.stopped import Stopped
from ..streams import CloseableAsyncIterator, Plan
from .outcome import Outcome


class ResultIterator(CloseableAsyncIterator[BatchResult[Input, Output]], Generic[Input, Output]):
    """Yields results as they complete, and knows how the run has ended."""

    def __init__(self, plan: Plan[BatchResult[Input, Output]], outcome: Outcome) -> None:
        super().__init__(plan)
        self._outcome = outcome

    @property
    def stopped(self) -> Stopped | None:
        """The limit that ended the run, with its figures, if one did."""
        return self._outcome.stopped

    @property
    def not_started(self) -> int | None:
        """Inputs that have not been started so far; None if their number is not known."""
        return self._outcome.not_started

    @override
    def _describe_progress(self) -> list[str]:
        progress = super()._describe_progress()
        return progress if self.stopped is None else [*progress, f"stopped: {self.stopped}"]
