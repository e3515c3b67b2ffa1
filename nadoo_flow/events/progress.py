"""Progress bars of runs, drawn by tqdm, one for each stage."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from .._support.text import shorten
from .._support.usage import UsageCount, format_number
from .event import Event, RunInfo, StageInfo, Watcher

if TYPE_CHECKING:
    from tqdm.auto import tqdm

ENDS = ("finished", "failed", "dropped")

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
        """Count an item that has ended; later stages do not expect one that goes no further."""
        if event.kind not in ENDS or event.index is None:
            return
        bars = self._bars[event.run]
        bars[event.position].count(event)
        if event.kind != "finished":
            for later in bars[event.position + 1 :]:
                later.expect_one_less()

    def on_end(self, run: RunInfo) -> None:
        """Close the bars; they stay visible."""
        for bar in self._bars.pop(run.number):
            bar.close()


class _Bar:
    def __init__(self, stage: StageInfo, total: int | None, disable: bool | None) -> None:
        self._failed = 0
        self._count = UsageCount()
        name = shorten(stage.stage, 30)
        self._bar = _choose_bar_class()(desc=name, total=total, disable=disable)

    def count(self, event: Event) -> None:
        if event.kind == "failed":
            self._failed += 1
        if event.usage is not None:
            self._count.add({"usage": event.usage})
        if event.kind == "failed" or event.usage is not None:
            failed = {"failed": self._failed} if self._failed else {}
            used = {name: format_number(n) for name, n in self._count.usage.items()}
            self._bar.set_postfix({**failed, **used}, refresh=False)
        if self._bar.update():
            self._fit_widget()

    def expect_one_less(self) -> None:
        if self._bar.total is not None:
            self._bar.total -= 1

    def _fit_widget(self) -> None:
        """Update the total of a widget, which tqdm sets only once."""
        widget = getattr(self._bar, "container", None)
        if widget is not None and self._bar.total is not None:
            _, bar, _ = widget.children
            bar.max = self._bar.total

    def close(self) -> None:
        self._fit_widget()
        self._bar.refresh()
        self._bar.close()


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
