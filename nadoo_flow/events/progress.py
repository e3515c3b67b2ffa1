"""Progress bars of runs, drawn by tqdm, one for each stage."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from .._support.text import estimate_width, shorten
from .._support.usage import format_number
from .event import RunInfo, Watcher
from .meter import StageMeter
from .run_meter import RunMeter

if TYPE_CHECKING:
    from tqdm.auto import tqdm

PAUSE = 0.25
"""Seconds after which the bars show the counts anew."""

_log = logging.getLogger(__name__)


class ProgressBars(Watcher):
    """Shows a bar for each stage of a run: a line in a terminal, a widget in a notebook.

    They read the meter of the run a few times a second while items are in work, and receive no
    events.

    Args:
        meter: That of the run.
        always: Whether to write also if stderr is not a terminal, such as to a log.
    """

    def __init__(self, meter: RunMeter, always: bool = False) -> None:
        self._stages, self._began = meter.stages, meter.began
        # With None tqdm disables itself where stderr is not a terminal.
        self._disable = False if always else None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._bars: list[_Bar] = []

    @override
    def on_begin(self, run: RunInfo) -> None:
        """Show the bars, all at 0."""
        total = run.total
        for stage in self._stages:
            total = None if stage.info.renumbers else total
            self._bars.append(_Bar(stage, self._began, total, self._disable))
        widest = max((bar.label_width for bar in self._bars), default=0.0)
        for bar in self._bars:
            bar.align(widest)
        if any(bar.is_shown for bar in self._bars):
            self._set_on_start(self._update_soon)

    @override
    def on_end(self, run: RunInfo) -> None:
        """Show the last counts and close the bars; they stay visible."""
        self._set_on_start(None)  # Others may keep the meter.
        if self._timer is not None:
            self._timer.cancel()
        with ExitStack() as closing:  # Or the next bars would leave room for one that is open.
            for bar in reversed(self._bars):
                closing.callback(bar.close)
            self._update()

    def _set_on_start(self, on_start: Callable[[], None] | None) -> None:
        for stage in self._stages:
            stage.on_start = on_start

    def _update_soon(self) -> None:
        self._set_on_start(None)
        self._timer = self._loop.call_later(PAUSE, self._update_and_go_on)

    def _update_and_go_on(self) -> None:
        # If this raises, which the loop then reports, it is not called again.
        self._update()
        if any(stage.in_work for stage in self._stages):
            self._update_soon()
        else:
            # A timer would have a loop with virtual time go on for ever.
            self._set_on_start(self._update_soon)

    def _update(self) -> None:
        lost = 0
        for bar in self._bars:
            lost += bar.update(lost)


class _Bar:
    """The bar of one stage."""

    def __init__(
        self, stage: StageMeter, began: float, total: int | None, disable: bool | None
    ) -> None:
        self._stage = stage
        self._began = began
        self._total = total
        kind = _choose_bar_class()
        if _is_text_in_a_notebook(kind):
            disable = False
        self._name = shorten(stage.info.stage, 30)
        # By default tqdm waits for about as many items as came between two updates before.
        self._bar: Any = _make_steady(kind)(
            desc=self._name, total=total, disable=disable, miniters=1
        )
        # An object instead of a text, which is written only as often as the bar is drawn.
        self._bar.postfix = self
        self._bar.stage_bar = self

    def __str__(self) -> str:
        """Write what stands behind the counts of tqdm."""
        stage = self._stage
        notes = {"in work": f"{len(stage.in_work):,}"} if stage.in_work else {}
        if stage.failed:
            notes["failed"] = f"{stage.failed:,}"
        notes |= {name: format_number(n) for name, n in stage.count.usage.items()}
        return "".join(f", {name}={value}" for name, value in notes.items())

    @property
    def is_shown(self) -> bool:
        """Whether it is drawn at all."""
        return not self._bar.disable

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

    def update(self, lost: int) -> int:
        """Show the counts as they are now, and return how many items the stage has lost.

        Args:
            lost: How many items the stages before have lost, which this one does not expect.
        """
        stage, bar = self._stage, self._bar
        if self._total is not None:
            bar.total = self._total - lost
        ended = stage.ended - stage.cancelled - bar.n
        if ended or stage.in_work:
            # Without an item that has ended, or soon after it has drawn, tqdm does not draw.
            if not bar.update(ended):
                bar.refresh()
            self._fit_widget()
        return stage.failed + stage.dropped

    def close(self) -> None:
        self._bar.close()
        # Last, because tqdm paints any bar green that is full.
        self._fit_widget()

    @property
    def is_complete(self) -> bool:
        """Whether the stage has ended, though later ones may not have."""
        return self._bar.total is not None and self._bar.n >= self._bar.total

    @property
    def seconds(self) -> float:
        """How long the stage has been at work, or was until it was complete."""
        stage = self._stage
        return (stage.last_end if self.is_complete else stage.time()) - self._began

    def _fit_widget(self) -> None:
        """Update what tqdm sets only once in a widget: its total, and the colour in the end."""
        widget = getattr(self._bar, "container", None)
        if widget is None or self._bar.total is None:
            return
        _, bar, _ = widget.children
        bar.max = self._bar.total
        if self.is_complete:
            bar.bar_style = "warning" if self._stage.failed else "success"


def _is_text_in_a_notebook(kind: type[tqdm[None]]) -> bool:
    """Return whether a bar is text in a notebook, which shows it though it is no terminal."""
    if "ipykernel.zmqshell" not in sys.modules:
        return False
    from tqdm.notebook import tqdm_notebook

    return not issubclass(kind, tqdm_notebook)


def _make_steady(kind: type[tqdm[None]]) -> type[tqdm[None]]:
    """Have a kind of bar end with the time and the rate of the whole work of its stage.

    Left alone, tqdm counts the time from its own import to when the last bar is closed, and a
    widget keeps the rate of the last few items, which differs from what results say of the same
    run.
    """

    class Steady(kind):  # type: ignore[misc]
        monitor_interval = 0  # or tqdm starts a thread to draw bars that are not updated any more
        stage_bar: _Bar | None = None

        @property
        def format_dict(self) -> dict[str, Any]:
            state: dict[str, Any] = super().format_dict
            if self.stage_bar is not None:
                state["elapsed"] = self.stage_bar.seconds
                if self.stage_bar.is_complete or self.disable:
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
