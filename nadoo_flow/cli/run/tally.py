"""The counts of a run of the command line."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from ..._support.text import format_count
from ..._support.usage import UsageCount, describe_usage
from ...results.batch_result import BatchResult
from ...results.stopped import Stopped

SHOWN_ERRORS = 5


@dataclass
class Tally:
    """Counts the results and errors of a run."""

    succeeded: int = 0
    resumed: int = 0
    cached: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    used: UsageCount = field(default_factory=UsageCount)
    started: float = field(default_factory=time.monotonic)
    stopped: Stopped | None = None
    not_started: int | None = None

    def count(self, result: BatchResult) -> None:
        """Count one result."""
        self.used.add(result.metadata)
        if result.success:
            self.succeeded += 1
            if "resumed" in result.metadata:
                self.resumed += 1
            elif "cached" in result.metadata:
                self.cached += 1
        else:
            self.errors[(result.error or "")[:100]] += 1

    @property
    def results(self) -> int:
        """The number of results."""
        return self.succeeded + self.failed

    @property
    def failed(self) -> int:
        """The number of failures."""
        return self.errors.total()

    def format_lines(self) -> list[str]:
        """Format the counts as lines."""
        origins = {"checkpoint": self.resumed, "cache": self.cached}
        found = ", ".join(f"{n:,} from the {origin}" for origin, n in origins.items() if n)
        saved = f" ({found})" if found else ""
        seconds = time.monotonic() - self.started
        lines = [
            f"{format_count(self.results, 'result')}: {self.succeeded:,} succeeded{saved}, "
            f"{self.failed:,} failed, in {seconds:.1f} s"
        ]
        if self.stopped is not None:
            left = {"cancelled": self.stopped.cancelled, "not started": self.not_started}
            counts = [f"; {number:,} {name}" for name, number in left.items() if number]
            lines.append(f"{self.stopped}{''.join(counts)}")
        if self.used.usage or self.used.saved:
            lines.append(f"usage: {describe_usage(self.used.usage, self.used.saved)}")
        lines += [f"{n:8,} x {error}" for error, n in self.errors.most_common(SHOWN_ERRORS)]
        if len(self.errors) > SHOWN_ERRORS:
            lines.append(f"         and {len(self.errors) - SHOWN_ERRORS:,} other errors")
        return lines
