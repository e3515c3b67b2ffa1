"""Results as plots of matplotlib."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, cast

from .._support.checks import describe_value
from .._support.percentile import compute_percentile
from .._support.text import format_count, shorten
from ..drawing.svg import BLUE, RED
from .batch_result import BatchResult
from .error_type import get_error_type

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST_KINDS = 8
"""Kinds of failures that have a bar of their own; the rest share one."""

FEWEST_IN_A_BIN = 20
"""Items without which a percentile of them would say little."""

FEWEST_BINS = 5
"""Bins without which a line through their percentiles would say little."""

_BINS = 60
_SIZE = (10, 5.5)


class Plots(NamedTuple):
    """The axes of :meth:`BatchResults.plot`, to be changed or saved; a notebook shows them.

    Attributes:
        latencies: The seconds that each item took, by when it started.
        throughput: Items that ended in a second, over time.
        failures: How many items failed, by the kind of their errors.
    """

    latencies: Axes
    throughput: Axes
    failures: Axes

    @property
    def figure(self) -> Figure:
        """The whole figure around the axes; ``figure.savefig(path)`` saves it."""
        whole: Any = self.latencies.get_figure(root=True)
        return cast("Figure", whole)

    def __repr__(self) -> str:
        return "<Plots: latencies, throughput and failures; save them with .figure.savefig()>"

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.figure.savefig(image, format="png", dpi=110)
        return image.getvalue()


class _Item(NamedTuple):
    start: float
    seconds: float
    success: bool


def plot_results(results: Sequence[BatchResult], figure: Figure | SubFigure | None = None) -> Plots:
    """Plot latencies and throughput over time, and failures by kind.

    Args:
        results: The results; those without times are left out of the first two, and counted there.
        figure: The figure to draw into, a new one by default.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If ``figure`` is no figure, such as axes.
    """
    try:
        # Not pyplot, which would keep the figure, and choose a display for the whole process.
        from matplotlib.figure import Figure, FigureBase
    except ImportError as error:
        raise ImportError("plot() needs matplotlib: pip install 'nadoo-flow[plot]'") from error
    if figure is not None and not isinstance(figure, FigureBase):
        raise TypeError(
            f"figure must be a figure of matplotlib, got {describe_value(figure)}; "
            "write plt.figure()"
        )
    if figure is None:
        figure = Figure(figsize=_SIZE, layout="constrained")
    axes: Any = figure.subplot_mosaic(
        [["latencies", "failures"], ["throughput", "failures"]], width_ratios=[2, 1]
    )
    plots = Plots(**axes)
    plots.throughput.sharex(plots.latencies)
    items = _find_times(results)
    _plot_latencies(plots.latencies, items)
    _plot_throughput(plots.throughput, items, len(results) - len(items))
    _plot_failures(plots.failures, results)
    for each in plots:
        each.spines[["top", "right"]].set_visible(False)
    return plots


def _find_times(results: Sequence[BatchResult]) -> list[_Item]:
    """Return the times of those results that have some, from the first start on."""
    items = [
        _Item(result.started, result.execution_time, result.success)
        for result in results
        if _is_time(result.started) and _is_time(result.execution_time)
    ]
    first = min((item.start for item in items), default=0.0)
    return [item._replace(start=item.start - first) for item in items]


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _plot_latencies(axes: Axes, items: list[_Item]) -> None:
    axes.set_title("latency", loc="left")
    axes.tick_params(labelbottom=False)
    if not items:
        _write_words(axes, "no times are known")
        return
    axes.set_ylabel("seconds")
    many = len(items) > 2_000
    for success, colour, name in ((True, BLUE, "successful"), (False, RED, "failed")):
        chosen = [item for item in items if item.success == success]
        if chosen:
            axes.plot(
                [item.start for item in chosen],
                [item.seconds for item in chosen],
                linestyle="",
                marker="o",
                markersize=2 if many else 4,
                markeredgewidth=0,
                alpha=0.25 if many else 0.7,
                color=colour,
                label=name,
                rasterized=True,
            )
    _plot_percentiles(axes, items)
    axes.set_ylim(bottom=0)
    legend = axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 0.98),
        ncols=4,
        frameon=False,
        markerscale=2 if many else 1,
        handletextpad=0.4,
        columnspacing=1.2,
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _plot_percentiles(axes: Axes, items: list[_Item]) -> None:
    number = min(len(items) // FEWEST_IN_A_BIN, _BINS)
    span = max(item.start for item in items)
    if number < FEWEST_BINS or span <= 0:
        return
    bins: list[list[float]] = [[] for _ in range(number)]
    for item in items:
        bins[min(int(item.start / span * number), number - 1)].append(item.seconds)
    filled = [(at, sorted(seconds)) for at, seconds in enumerate(bins) if seconds]
    middles = [(at + 0.5) * span / number for at, _ in filled]
    # The colour of texts, which stands out on the background of any style.
    colour = axes.yaxis.label.get_color()
    for percent, style in ((50, "-"), (95, "--")):
        values = [compute_percentile(seconds, percent) or 0.0 for _, seconds in filled]
        axes.plot(middles, values, style, color=colour, linewidth=1.2, label=f"p{percent}")


def _plot_throughput(axes: Axes, items: list[_Item], left_out: int) -> None:
    axes.set_title("throughput", loc="left")
    left = f"; {format_count(left_out, 'result')} without times left out" if left_out else ""
    axes.set_xlabel(f"seconds since the first start{left}")
    span = max((item.start + item.seconds for item in items), default=0.0)
    if span <= 0:
        _write_words(axes, "no times are known")
        return
    bins = min(_BINS, len(items))
    edges = [at * span / bins for at in range(bins + 1)]
    failed = [0.0] * bins
    ended = [0.0] * bins
    for item in items:
        at = min(int((item.start + item.seconds) / span * bins), bins - 1)
        ended[at] += bins / span
        failed[at] += 0 if item.success else bins / span
    axes.stairs(ended, edges, fill=True, color=BLUE)
    if any(failed):
        axes.stairs(failed, edges, fill=True, color=RED)
    axes.set_ylabel("items a second")
    axes.set_ylim(bottom=0)


def _plot_failures(axes: Axes, results: Sequence[BatchResult]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title("failures", loc="left")
    kinds = Counter(get_error_type(result) for result in results if not result.success)
    if not kinds:
        _write_words(axes, "none" if results else "no results")
        return
    bars = kinds.most_common(MOST_KINDS)
    if rest := len(kinds) - len(bars):
        others = kinds.total() - sum(count for _, count in bars)
        bars.append((f"{rest:,} other {'kinds' if rest > 1 else 'kind'}", others))
    drawn = axes.barh(range(len(bars)), [count for _, count in bars], 0.4, color=RED)
    axes.bar_label(drawn, [f"{count:,}" for _, count in bars], padding=3)
    for at, (name, _) in enumerate(bars):
        # Names of users' exceptions may hold what would be read as a formula.
        axes.text(0, at - 0.26, f" {shorten(name, 36)}", va="bottom", parse_math=False)
    axes.set_yticks([])
    axes.set_ylim(max(len(bars), 5) - 0.5, -0.7)
    axes.margins(x=0.2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _write_words(axes: Axes, words: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", alpha=0.7)
