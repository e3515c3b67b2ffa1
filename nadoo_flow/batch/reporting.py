"""The report of a batch: its runs are reported to observers, and none of them twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass

from ..events import (
    Instrument,
    RunReporter,
    StageInfo,
    WatchOptions,
    find_events,
    find_instrument,
    start_reporting,
)
from ..results.batch_result import BatchResult
from ..streams import Subscription
from .item import make_item_end


@dataclass(frozen=True)
class BatchReporting:
    """How the runs of one batch are reported.

    Attributes:
        owner: The processor, whose ``events`` get what happens once they have been asked for.
        stage: Its node.
        inputs: The inputs, whose number is known if they have a length.
        watching: What the caller wants to see.
    """

    owner: object
    stage: StageInfo
    inputs: object
    watching: WatchOptions

    def start(self, run: Subscription) -> RunReporter | None:
        """Start to report a run; None if nothing watches or follows it.

        A run whose results are reported already is only followed.
        """
        instrument = find_instrument(find_events(self.owner))
        if _reported.get() is self.owner:
            return start_reporting(
                [self.stage], self.inputs, WatchOptions(), None, run=run, instrument=instrument
            )
        return self._start(run, instrument)

    async def report_results(
        self, iterate: Callable[[], AsyncGenerator[BatchResult, None]]
    ) -> AsyncGenerator[BatchResult, None]:
        """Yield the results of an override of ``batch_as_completed``, and report each.

        The override may build on the inherited method, whose runs are then not reported again.
        """
        reporter = self._start()
        token = _reported.set(self.owner)
        try:
            async with aclosing(iterate()) as completed:
                async for result in completed:
                    if reporter is not None:
                        (stage,) = reporter.stages
                        end = make_item_end(result)
                        stage.report_item(result.index, result.execution_time, end)
                    yield result
        finally:
            _reported.reset(token)
            if reporter is not None:
                reporter.end()

    def _start(
        self, run: Subscription | None = None, instrument: Instrument | None = None
    ) -> RunReporter | None:
        to_all = find_events(self.owner)
        return start_reporting(
            [self.stage], self.inputs, self.watching, to_all, run=run, instrument=instrument
        )


_reported: ContextVar[object] = ContextVar("nadoo_flow_reported", default=None)
"""The processor whose results are reported in this context."""
