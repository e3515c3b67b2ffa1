"""The iterator of the results of a batch."""

from __future__ import annotations

from typing import Generic

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

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._describe_progress()}>"

    def _describe_progress(self) -> str:
        from .._support.text import format_count

        inbox = self._inbox
        if self._closed or inbox is None:
            return "closed" if self._closed else "not begun"
        parts = [f"{format_count(inbox.run.pulled, 'input')} pulled"]
        if self.in_work:
            parts.append(f"{self.in_work:,} in work")
        if inbox.items:
            parts.append(f"{format_count(len(inbox.items), 'result')} to be taken")
        if self.stopped is not None:
            parts.append(f"stopped: {self.stopped}")
        if inbox.ended:
            parts.append("ended")
        elif self.drained and self.stopped is None:
            parts.append("drained")
        return ", ".join(parts)

    @property
    def stopped(self) -> Stopped | None:
        """The limit that ended the run, with its figures, if one did."""
        return self._outcome.stopped

    @property
    def not_started(self) -> int | None:
        """Inputs that have not been started so far; None if their number is not known."""
        return self._outcome.not_started
