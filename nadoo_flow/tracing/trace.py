"""A record of the events of runs, and its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._support.checks import check_positive_int
from ..events.event import Event, RunInfo
from ..events.event_log import LoggingWatcher

if TYPE_CHECKING:
    from .history import History
    from .marbles import Marbles
    from .timeline import Timeline


class Trace(LoggingWatcher):
    """Records the events of the runs that get it as ``trace=``.

    Args:
        limit: Most events to keep; an item makes two or three at each stage. The oldest are left
            out when there are more.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> trace = Trace()
        >>> results = asyncio.run(BatchProcessor(str.upper, trace=trace).batch(["a", "b"]))
        >>> [event.kind for event in trace.events]
        ['started', 'finished', 'started', 'finished']
    """

    def __init__(self, limit: int = 100_000) -> None:
        self.limit = check_positive_int(limit, "limit")
        super().__init__(self.limit)

    @property
    def events(self) -> list[Event]:
        """The events that were kept, in the order in which they happened."""
        return self._log.make_events()

    @property
    def left_out(self) -> int:
        """The number of events that were left out, because there were more than the limit."""
        return self._log.left_out

    def on_begin(self, run: RunInfo) -> None:
        """Remember the stages of a run.

        Args:
            run: The run.
        """
        self._log.add_run(run)

    def marbles(self) -> Marbles:
        """Draw the marble diagram: a line for each stage, a marble for each item at its time.

        Point at a marble to see the path of its item through the stages.

        Example:
            >>> results = asyncio.run(BatchProcessor(asyncio.sleep, trace=True).batch([1, 3, 2]))
            >>> results.trace.marbles().save("marbles.svg")
        """
        from .marbles import Marbles

        return Marbles(self._build_history())

    def timeline(self) -> Timeline:
        """Draw the timeline: which item each lane of a stage worked on, and the bottleneck.

        Example:
            >>> results = asyncio.run(BatchProcessor(asyncio.sleep, trace=True).batch([1, 3, 2]))
            >>> results.trace.timeline().save("timeline.svg")
        """
        from .timeline import Timeline

        return Timeline(self._build_history())

    def _build_history(self) -> History:
        from .history import History

        return History(self.events, self._log.runs, self.left_out)

    def __repr__(self) -> str:
        from .._support.text import format_count

        left_out = f", {self.left_out:,} left out" if self.left_out else ""
        events = format_count(len(self._log), "event")
        return f"<Trace of {events} of {format_count(len(self._log.runs), 'run')}{left_out}>"
