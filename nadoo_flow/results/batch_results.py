"""All results of a batch, as a list that can be looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from .batch_result import BatchResult

if TYPE_CHECKING:
    import pandas as pd

    from ..tracing.trace import Trace
    from .summary import Summary


class BatchResults(list[BatchResult]):
    """The results of a batch in input order: a list, which also knows itself.

    What is made of it with ``[:]``, ``+`` or ``sorted()`` is a plain list.

    Args:
        results: The results.
        seconds: How long the run took, where that is known.
        trace: What was recorded of the run, if anything was.
    """

    def __init__(
        self,
        results: Iterable[BatchResult] = (),
        seconds: float | None = None,
        trace: Trace | None = None,
    ) -> None:
        super().__init__(results)
        self.seconds = seconds
        self.trace = trace

    @property
    def successful(self) -> list[BatchResult]:
        """The results that succeeded."""
        return [result for result in self if result.success]

    @property
    def failed(self) -> list[BatchResult]:
        """The results that failed."""
        return [result for result in self if not result.success]

    @property
    def outputs(self) -> list[Any]:
        """The outputs of the results that succeeded."""
        return [result.output for result in self if result.success]

    def summary(self) -> Summary:
        """Count the results, their latencies, and their errors by type."""
        from .summary import summarized

        return summarized(self, self.seconds)

    def to_pandas(self) -> pd.DataFrame:
        """Make a data frame with a row for each result and a column for each of its fields.

        Raises:
            ImportError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_pandas() needs pandas: pip install 'nadoo-flow[pandas]'"
            ) from error
        columns = [field.name for field in fields(BatchResult)]
        return pd.DataFrame(
            {column: [getattr(result, column) for result in self] for column in columns}
        )

    def __repr__(self) -> str:
        from .._support.text import format_count

        lines = str(self.summary()).splitlines()
        more = (
            [f"… and {format_count(len(lines) - 5, 'more kind')} of errors"]
            if len(lines) > 5
            else []
        )
        return "\n  ".join(["BatchResults", *lines[:5], *more])

    def _repr_html_(self) -> str:
        from .html import results_html

        return results_html(self, self.summary())
