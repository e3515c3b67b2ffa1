"""The limit that ended a run, and what is known of a run while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .._support.usage import Usage, UsageCount
from .batch_result import BatchResult
from .error_type import get_error_type

LimitName: TypeAlias = Literal["deadline", "max_failures", "max_usage", "stop_when"]


@dataclass(frozen=True, slots=True)
class Stopped:
    """The limit that ended a run, and the figures when it was reached.

    Results that came back from a checkpoint do not count.

    Attributes:
        limit: The argument of the processor: ``"deadline"``, ``"max_failures"``, ``"max_usage"`` or
            ``"stop_when"``.
        reason: What happened, in words, which are also those of ``str()``.
        finished: How many items had been finished, failed ones among them.
        failed: How many items had failed.
        seconds: How long the run had taken.
        usage: What the items had used, if that was counted.
        cancelled: How many items were cancelled when the grace after a deadline was over.

    Example:
        >>> processor = BatchProcessor(lambda n: 60 // n, max_concurrency=1, max_failures=1)
        >>> results = asyncio.run(processor.batch([1, 0, 3]))
        >>> results.stopped.limit, results.not_started
        ('max_failures', 1)
    """

    limit: LimitName
    reason: str
    finished: int
    failed: int
    seconds: float
    usage: Mapping[str, float]
    cancelled: int = 0

    def __str__(self) -> str:
        return self.reason


class RunningSummary:
    """The counts of a run that goes on, for ``stop_when``.

    Attributes:
        total: Results so far, without those that came back from a checkpoint.
        successful: How many of them succeeded.
        failed: How many of them failed.
        errors: How many failed, by the name of the exception; ``"no exception"`` where there is
            none.

    Args:
        time: The clock of the event loop.

    Example:
        >>> processor = BatchProcessor(str.upper, stop_when=lambda so_far: so_far.successful >= 2)
        >>> asyncio.run(processor.batch(["a", "b", "c"])).stopped.limit
        'stop_when'
    """

    __slots__ = ("_count", "_started", "_time", "errors", "failed", "successful", "total")

    def __init__(self, time: Callable[[], float]) -> None:
        self.total = self.successful = self.failed = 0
        self.errors: dict[str, int] = {}
        self._count = UsageCount()
        self._time = time
        self._started = time()

    @property
    def seconds(self) -> float:
        """How long the run has taken."""
        return self._time() - self._started

    @property
    def usage(self) -> Usage:
        """The sums of the numbers in ``metadata["usage"]``, by name."""
        return self._count.usage

    def add(self, result: BatchResult) -> None:
        """Count a result.

        Args:
            result: The result of an item that has ended.
        """
        self.total += 1
        if result.success:
            self.successful += 1
        else:
            self.failed += 1
            kind = get_error_type(result)
            self.errors[kind] = self.errors.get(kind, 0) + 1
        if result.metadata:
            self._count.add(result.metadata)
