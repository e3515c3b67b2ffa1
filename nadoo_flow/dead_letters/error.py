"""The error of dead letters that cannot be written or read."""

from __future__ import annotations

from collections.abc import Sequence

from ..results.batch_result import BatchResult


class DeadLetterError(Exception):
    """A failure could not be handed to ``failed_to``, or a file of dead letters cannot be used.

    Attributes:
        results: What the error of a run would lose: the failed result whose letter could not be
            written, and from ``batch`` and ``retry_failed`` also all results before it.

    Args:
        message: What went wrong, in words.

    Example:
        >>> processor = BatchProcessor(lambda n: 60 // n, failed_to="no/such/folder.jsonl")
        >>> try:
        ...     asyncio.run(processor.batch([5, 0]))
        ... except DeadLetterError:
        ...     print("cannot be written")
        cannot be written
    """

    def __init__(self, message: str, results: Sequence[BatchResult] = ()) -> None:
        super().__init__(message)
        self.results: list[BatchResult] = [*results]
