"""The results of a batch, as a list with a summary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Generic

from .._support.checks import check_bool
from .._support.typevars import Input, Output
from .batch_result import BatchResult
from .usage import count_usage

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.figure import Figure, SubFigure

    from ..tracing.trace import Trace
    from .plot import Plots
    from .stopped import Stopped
    from .summary import Summary


class BatchResults(list[BatchResult[Input, Output]], Generic[Input, Output]):
    """The results of a batch in input order: a list with a summary.

    Slices, sums with ``+`` and ``sorted()`` give a plain list.

    Args:
        results: The results.
        seconds: How long the run took, where that is known.
        trace: The record of the run, if there is one.
        stopped: The limit that ended the run, with its figures, if one did.
        not_started: How many inputs were left, where their number is known.

    Example:
        >>> results = asyncio.run(BatchProcessor(lambda n: 60 // n).batch([1, 0, 3]))
        >>> results.outputs
        [60, 20]
        >>> [result.input_data for result in results.failed]
        [0]
    """

    def __init__(
        self,
        results: Iterable[BatchResult[Input, Output]] = (),
        seconds: float | None = None,
        trace: Trace | None = None,
        stopped: Stopped | None = None,
        not_started: int | None = None,
    ) -> None:
        super().__init__(results)
        self.seconds = seconds
        self.trace = trace
        self.stopped = stopped
        self.not_started = not_started

    @property
    def successful(self) -> list[BatchResult[Input, Output]]:
        """The results that succeeded."""
        return [result for result in self if result.success]

    @property
    def failed(self) -> list[BatchResult[Input, Output]]:
        """The results that failed."""
        return [result for result in self if not result.success]

    @property
    def outputs(self) -> list[Output]:
        """The outputs of the results that succeeded."""
        return [result.output for result in self if result.success]

    @property
    def usage(self) -> dict[str, float]:
        """What the run used: the sums of the numbers in each ``metadata["usage"]``, by name."""
        return count_usage(self).usage

    @property
    def saved(self) -> dict[str, float]:
        """What the run did not use again, because results were cached or resumed."""
        return count_usage(self).saved

    def summary(self) -> Summary:
        """Count the results, their latencies, what they used, and their errors by type.

        Example:
            >>> summary = asyncio.run(BatchProcessor(lambda n: 60 // n).batch([1, 0])).summary()
            >>> summary.failed, summary.errors[0].type
            (1, 'ZeroDivisionError')
        """
        from .summary import summarize

        return summarize(self, self.seconds)

    def plot(self, figure: Figure | SubFigure | None = None) -> Plots:
        """Plot latencies and throughput over time, and failures by kind.

        Nothing is shown by that, and no setting is changed: the colours are those of the style that
        is in use. As the last line of a cell in a notebook the plots are displayed.

        Args:
            figure: A figure of matplotlib to draw into, such as ``plt.figure()`` to have a window;
                by default a new one, which pyplot does not know.

        Returns:
            The axes by name: ``latencies``, ``throughput`` and ``failures``, and their ``figure``.
            Results without times, such as those from a checkpoint, are left out of the first two,
            and counted there.

        Raises:
            ImportError: If matplotlib is not installed.
            TypeError: If ``figure`` is no figure, such as axes.

        Example:
            >>> results = asyncio.run(BatchProcessor(str.upper).batch(["a", "b"]))
            >>> plots = results.plot()
            >>> plots.latencies.set_yscale("log")
            >>> plots.figure.savefig("run.png")  # doctest: +SKIP
        """
        from .plot import plot_results

        return plot_results(self, figure)

    def to_pandas(self, *, spread: bool = False) -> pd.DataFrame:
        """Make a data frame with a row for each result and a column for each of its fields.

        Args:
            spread: Whether each key of outputs that are mappings gets a column, in the order in
                which the keys come first, behind the other fields. A row without the key has None
                there. Other outputs are in the last column, ``output``. A key that has the name of
                a field, or of a column before, gets the column ``output.<key>``.

        Raises:
            ImportError: If pandas is not installed.
            TypeError: If ``spread`` is no bool.

        Example:
            >>> answered = BatchResult(0, "hi", True, {"text": "HI", "index": 7})
            >>> frame = BatchResults([answered]).to_pandas(spread=True)
            >>> frame[["index", "text", "output.index"]].to_dict("records")
            [{'index': 0, 'text': 'HI', 'output.index': 7}]
        """
        from .frames import import_library, make_columns

        pandas = import_library("pandas", "to_pandas")
        frame: pd.DataFrame = pandas.DataFrame(
            make_columns(self, spread=check_bool(spread, "spread"))
        )
        return frame

    def to_polars(self, *, spread: bool = False) -> pl.DataFrame:
        """Make a data frame of polars, with the rows and columns of :meth:`to_pandas`.

        A column whose values no type of polars could hold as they are, such as exceptions, a mix of
        texts and numbers, or mappings with different keys, holds Python objects.

        Args:
            spread: As of :meth:`to_pandas`.

        Raises:
            ImportError: If polars is not installed.
            TypeError: If ``spread`` is no bool.

        Example:
            >>> results = BatchResults([BatchResult(0, "hi", True, {"text": "HI"})])
            >>> results.to_polars(spread=True).select("input_data", "text").rows()
            [('hi', 'HI')]
        """
        from .frames import import_library, make_columns, make_polars_series

        polars = import_library("polars", "to_polars")
        columns = make_columns(self, spread=check_bool(spread, "spread"))
        series = [make_polars_series(polars, name, values) for name, values in columns.items()]
        frame: pl.DataFrame = polars.DataFrame(series)
        return frame

    if not TYPE_CHECKING:  # a type checker reports it before

        def __getattr__(self, name: str) -> object:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in {field.name for field in fields(BatchResult)}:
                text += f"; each of the results has one: [result.{name} for result in results]"
            raise AttributeError(text, name=name, obj=self)

    def __repr__(self) -> str:
        from .._support.text import format_count

        lines = [*self._describe_end(), *str(self.summary()).splitlines()]
        more = (
            [f"… and {format_count(len(lines) - 5, 'more kind')} of errors"]
            if len(lines) > 5
            else []
        )
        return "\n  ".join(["BatchResults", *lines[:5], *more])

    def _describe_end(self) -> list[str]:
        """Return a line on the limit that ended the run, if one did."""
        if self.stopped is None:
            return []
        left = f", {self.not_started:,} not started" if self.not_started else ""
        cancelled = f", {self.stopped.cancelled:,} cancelled" if self.stopped.cancelled else ""
        return [f"stopped: {self.stopped}{cancelled}{left}"]

    def _repr_html_(self) -> str:
        from .html import render_results

        return render_results(self, self.summary(), self._describe_end())
