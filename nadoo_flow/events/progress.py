"""Progress bars of runs, drawn by tqdm, one for each stage."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

from .._support.text import shorten
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
        self._refreshing: asyncio.TimerHandle | None = None
        kind = _choose_bar_class()
        if _is_text_in_a_notebook(kind):
            disable = False
        name = shorten(stage.stage, 30)
        self._bar: Any = kind(desc=name, total=total, disable=disable)
        # An object instead of a text, which is written only as often as the bar is drawn.
        self._bar.postfix = self

    def __str__(self) -> str:
        """Write what stands behind the counts of tqdm."""
        notes = {"in work": f"{self._in_work:,}"} if self._in_work else {}
        if self._failed:
            notes["failed"] = f"{self._failed:,}"
        notes |= {name: format_number(n) for name, n in self._count.usage.items()}
        return "".join(f", {name}={value}" for name, value in notes.items())

    def start(self) -> None:
        self._in_work += 1
        self._refresh_soon()

    def end(self, event: Event) -> None:
        self._in_work -= 1
        if event.kind == "failed":
            self._failed += 1
        if event.usage is not None:
            self._count.add({"usage": event.usage})
        if event.kind in ENDS and self._bar.update():
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

    def _fit_widget(self) -> None:
        """Update the total of a widget, which tqdm sets only once."""
        widget = getattr(self._bar, "container", None)
        if widget is not None and self._bar.total is not None:
            _, bar, _ = widget.children
            bar.max = self._bar.total

    def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._in_work = 0
        self._fit_widget()
        self._bar.refresh()
        self._bar.close()


def _is_text_in_a_notebook(kind: type[tqdm[None]]) -> bool:
    """Return whether a bar is text in a notebook, which shows it though it is no terminal."""
    if "ipykernel.zmqshell" not in sys.modules:
        return False
    from tqdm.notebook import tqdm_notebook

    return not issubclass(kind, tqdm_notebook)


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
