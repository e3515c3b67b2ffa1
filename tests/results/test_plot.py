"""Results as plots, drawn by matplotlib itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from nadoo_flow import BatchResult, BatchResults

from ..hostile_texts import HOSTILE

EPOCH = 1_700_000_000.0


def made(*items: tuple[float | None, float | None, str | None]) -> BatchResults:
    """Make results of items, each with its start, its seconds, and the error if it failed."""
    return BatchResults(
        BatchResult(
            at,
            at,
            error is None,
            None,
            error,
            seconds,
            started=None if start is None else EPOCH + start,
        )
        for at, (start, seconds, error) in enumerate(items)
    )


def texts_of(axes: Any) -> list[str]:
    return [text.get_text().strip() for text in axes.texts]


def dots_of(axes: Any) -> dict[str, list[tuple[float, float]]]:
    """Return what is drawn under each name."""
    return {
        line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axes.lines
    }


class TestWhatIsDrawn:
    def test_each_latency_is_at_its_start(self) -> None:
        axes = made((1, 2, None), (0, 3, None), (4, 1, "TimeoutError")).plot().latencies
        assert dots_of(axes) == {"successful": [(1, 2), (0, 3)], "failed": [(4, 1)]}
        assert axes.get_ylim()[0] == 0

    def test_many_have_lines_of_percentiles(self) -> None:
        items = [(float(at), 9.0 if at % 10 == 0 else 1.0, None) for at in range(100)]
        drawn = dots_of(made(*items).plot().latencies)
        assert list(drawn) == ["successful", "p50", "p95"]
        assert {seconds for _, seconds in drawn["p50"]} == {1}
        assert {seconds for _, seconds in drawn["p95"]} == {9}
        assert len(drawn["p95"]) == 5

    def test_throughput_is_what_ended_in_a_second(self) -> None:
        items = [(0, 1, None), (0, 3.9, None), (1, 3, "TimeoutError"), (2, 2, None)]
        ended, failed = made(*items).plot().throughput.patches
        assert list(ended.get_data().values) == [0, 1, 0, 3]
        assert list(ended.get_data().edges) == [0, 1, 2, 3, 4]
        assert list(failed.get_data().values) == [0, 0, 0, 1]

    def test_failures_are_counted_by_kind_the_most_frequent_first(self) -> None:
        errors = ["ValueError: a", "TimeoutError", "ValueError: b", None]
        axes = made(*[(0, 1, error) for error in errors]).plot().failures
        assert [bar.get_width() for bar in axes.patches] == [2, 1]
        assert texts_of(axes) == ["2", "1", "ValueError", "TimeoutError"]

    def test_rare_kinds_share_a_bar(self) -> None:
        axes = made(*[(0, 1, f"Odd{number}Error") for number in range(20)]).plot().failures
        assert [bar.get_width() for bar in axes.patches] == [*[1] * 8, 12]
        assert texts_of(axes)[-1] == "12 other kinds"

    def test_results_without_times_are_counted(self) -> None:
        results = made((0, 1, None), (None, 1, None), (1, None, "no"))
        results[1].started = float("nan")
        plots = results.plot()
        assert dots_of(plots.latencies) == {"successful": [(0, 1)]}
        assert plots.throughput.get_xlabel().endswith("; 2 results without times left out")
        assert texts_of(plots.failures) == ["1", "no exception"]

    @pytest.mark.parametrize(
        ("results", "said"),
        [
            (BatchResults(), ["no times are known", "no times are known", "no results"]),
            (made((None, 1, None)), ["no times are known", "no times are known", "none"]),
            (made((0, 0, None)), ["", "no times are known", "none"]),
        ],
        ids=["empty", "without-times", "in-no-time"],
    )
    def test_what_there_is_not_is_said(self, results: BatchResults, said: list[str]) -> None:
        plots = results.plot()
        assert [", ".join(texts_of(axes)) for axes in plots] == said
        assert plots._repr_png_().startswith(b"\x89PNG")

    @pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
    @pytest.mark.parametrize("text", [*HOSTILE, "$x^2$", "$\\frac{"])
    def test_any_name_can_be_drawn(self, text: str) -> None:
        results = made((0, 1, "no"))
        results[0].exception = type(
            text.replace("\0", "").encode(errors="ignore").decode() or "E", (Exception,), {}
        )()
        assert results.plot()._repr_png_().startswith(b"\x89PNG")


class TestItsManners:
    def test_the_axes_can_be_gone_on_with(self) -> None:
        latencies, throughput, failures = plots = made((0, 1, None)).plot()
        assert plots.figure is latencies.figure
        assert {latencies, throughput, failures} == set(plots.figure.axes)
        assert repr(plots).startswith("<Plots: latencies, throughput and failures")
        latencies.set_yscale("log")
        latencies.axhline(2)
        assert plots._repr_png_().startswith(b"\x89PNG")

    def test_it_draws_into_a_figure_that_is_given(self) -> None:
        figure = Figure()
        part, _ = figure.subfigures(2)
        plots = made((0, 1, None)).plot(part)
        assert (plots.latencies.figure, plots.figure) == (part, figure)
        assert plots._repr_png_().startswith(b"\x89PNG")

    def test_it_refuses_axes(self) -> None:
        axes: Any = Figure().subplots()
        with pytest.raises(TypeError, match=r"^figure must be a figure of matplotlib, got .*Axes"):
            made((0, 1, None)).plot(axes)

    def test_it_has_the_colours_of_the_style_in_use(self) -> None:
        items = [(float(at), 1.0, None) for at in range(100)]
        with mpl.rc_context({"text.color": "white", "axes.labelcolor": "white"}):
            plots = made(*items).plot()
        assert plots.latencies.lines[-1].get_color() == "white"

    def test_no_setting_of_the_process_is_changed(self) -> None:
        before = dict(mpl.rcParams)
        made((0, 1, None)).plot()._repr_png_()
        assert dict(mpl.rcParams) == before


@pytest.mark.slow
@pytest.mark.one_python
def test_it_needs_no_display_and_no_pyplot() -> None:
    code = (
        "import sys; from nadoo_flow import BatchResults; BatchResults().plot()._repr_png_(); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    environment = {"MPLBACKEND": "tkagg", "PATH": "", "HOME": "/nowhere", "MPLCONFIGDIR": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "False\n"


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'nadoo-flow\[plot\]'"):
        BatchResults().plot()
