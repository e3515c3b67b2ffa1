"""Progress bars of runs, drawn by tqdm, one for each stage."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._support.text import estimate_width, shorten
from .._support.usage import UsageCount, format_number
from .event import Event, RunInfo, StageInfo, Watcher

if TYPE_CHECKING:
    from tqdm.auto import tqdm

ENDS = ("finished", "failed", "dropped")

PAUSE = 0.25
"""Seconds after which a bar is drawn anew while items are in work, since none of them may end."""

_log = logging.getLogger(__name__)


class ProgressBars(Watcher):
    """Shows a bar for each stage of a run: a line in a terminal, a widget in a notebook.

    Args:
        always: Whether to write also if stderr is not a terminal, such as to a log.
    """

    def __init__(self, always: bool = False) -> None:
        # With None tqdm disables itself where stderr is not a terminal.
        self._disable = False if always else None
        self._bars: dict[int, list[_Bar]] = {}

    def on_begin(self, run: RunInfo) -> None:
        """Show the bars, all at 0."""
        total = run.total
        bars = self._bars[run.number] = []
        for stage in run.stages:
            total = None if stage.renumbers else total
            bars.append(_Bar(stage, total, self._disable))
        widest = max((bar.label_width for bar in bars), default=0.0)
        for bar in bars:
            bar.align(widest)

    def on_event(self, event: Event) -> None:
        """Count an item that starts or ends; later stages do not expect one that is lost."""
        if event.index is None or event.kind == "retried":
            return
        bars = self._bars[event.run]
        bar = bars[event.position]
        if event.kind == "started":
            bar.start()
            return
        bar.end(event)
        if event.kind in ("failed", "dropped"):
            for later in bars[event.position + 1 :]:
                later.expect_one_less()

    def on_end(self, run: RunInfo) -> None:
        """Close the bars; they stay visible."""
        for bar in self._bars.pop(run.number):
            bar.close()


class _Bar:
    """The bar of one stage."""

    def __init__(self, stage: StageInfo, total: int | None, disable: bool | None) -> None:
        self._in_work = self._failed = 0
        self._count = UsageCount()
        self._loop = asyncio.get_running_loop()
        self._began = self._last_end = self._loop.time()
        self._refreshing: asyncio.TimerHandle | None = None
        kind = _choose_bar_class()
        if _is_text_in_a_notebook(kind):
            disable = False
        self._name = shorten(stage.stage, 30)
        self._bar: Any = _make_steady(kind)(desc=self._name, total=total, disable=disable)
        # An object instead of a text, which is written only as often as the bar is drawn.
        self._bar.postfix = self
        self._bar.get_final_seconds = self._get_final_seconds

    def __str__(self) -> str:
        """Write what stands behind the counts of tqdm."""
        notes = {"in work": f"{self._in_work:,}"} if self._in_work else {}
        if self._failed:
            notes["failed"] = f"{self._failed:,}"
        notes |= {name: format_number(n) for name, n in self._count.usage.items()}
        return "".join(f", {name}={value}" for name, value in notes.items())

    @property
    def label_width(self) -> float:
        """About how wide the name and the percentage are in a notebook, in pixels."""
        # In a widget tqdm writes spaces that are as wide as digits.
        return estimate_width(f"{self._name}: 100%".replace(" ", "0"), 13)

    def align(self, width: float) -> None:
        """Give the label of a widget a width, so that bars below each other begin at one place."""
        widget = getattr(self._bar, "container", None)
        if widget is not None:
            widget.children[0].layout.min_width = f"{width:.0f}px"

    def start(self) -> None:
        self._in_work += 1
        self._refresh_soon()

    def end(self, event: Event) -> None:
        self._in_work -= 1
        if event.kind == "failed":
            self._failed += 1
        if event.usage is not None:
            self._count.add({"usage": event.usage})
        if event.kind in ENDS:
            self._last_end = self._loop.time()
            if self._bar.update():
                self._fit_widget()

    def expect_one_less(self) -> None:
        if self._bar.total is not None:
            self._bar.total -= 1

    def _refresh_soon(self) -> None:
        if self._refreshing is None and not self._bar.disable:
            self._refreshing = self._loop.call_later(PAUSE, self._refresh)

    def _refresh(self) -> None:
        # If this raises, which the loop then reports, it is not called again.
        self._fit_widget()
        self._bar.refresh()
        self._refreshing = None
        if self._in_work:
            self._refresh_soon()

    def _is_complete(self) -> bool:
        return self._bar.total is not None and self._bar.n >= self._bar.total

    def _get_final_seconds(self) -> float | None:
        """Return how long a stage took that is complete, though later ones are not."""
        return self._last_end - self._began if self._is_complete() else None

    def _fit_widget(self) -> None:
        """Update what tqdm sets only once in a widget: its total, and the colour in the end."""
        widget = getattr(self._bar, "container", None)
        if widget is None or self._bar.total is None:
            return
        _, bar, _ = widget.children
        bar.max = self._bar.total
        if self._is_complete():
            bar.bar_style = "warning" if self._failed else "success"

    def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._in_work = 0
        self._bar.refresh()
        self._bar.close()
        # Last, because tqdm paints any bar green that is full.
        self._fit_widget()


def _is_text_in_a_notebook(kind: type[tqdm[None]]) -> bool:
    """Return whether a bar is text in a notebook, which shows it though it is no terminal."""
    if "ipykernel.zmqshell" not in sys.modules:
        return False
    from tqdm.notebook import tqdm_notebook

    return not issubclass(kind, tqdm_notebook)


def _make_steady(kind: type[tqdm[None]]) -> type[tqdm[None]]:
    """Have a kind of bar end with the time and the rate of the whole work of its stage.

    Left alone, tqdm counts the time of a complete bar until the last one is closed, and a widget
    keeps the rate of the last few items, which differs from what results say of the same run.
    """

    class Steady(kind):  # type: ignore[misc]
        get_final_seconds: Callable[[], float | None] | None = None

        @property
        def format_dict(self) -> dict[str, Any]:
            state: dict[str, Any] = super().format_dict
            seconds = self.get_final_seconds and self.get_final_seconds()
            if seconds is not None:
                state["elapsed"] = seconds
            if seconds is not None or self.disable:
                state["rate"] = None  # Then tqdm writes the mean.
            return state

    return Steady


def _choose_bar_class() -> type[tqdm[None]]:
    """Return the kind of bar that suits the terminal or notebook, as tqdm chooses it."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TqdmWarning)
        from tqdm import auto
    if any(issubclass(warning.category, TqdmWarning) for warning in caught):
        # tqdm warns at its import in a notebook that cannot show its widget, and only then.
        _log.warning(
            "for progress bars a notebook needs ipywidgets: pip install 'nadoo-flow[notebook]'"
        )
    kind: type[tqdm[None]] = auto.tqdm
    return kind
