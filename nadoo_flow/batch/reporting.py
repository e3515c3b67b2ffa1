"""The report of a batch: its runs are reported to observers, and none of them twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass

from ..events import RunReporter, StageInfo, WatchOptions, find_events, start_reporting
from ..results.batch_result import BatchResult
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

    def start(self) -> RunReporter | None:
        """Start to report a run; None if it has no observer, or is reported already."""
        return None if _reported.get() is self.owner else self._start()

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
                await reporter.end()

    def _start(self) -> RunReporter | None:
        return start_reporting([self.stage], self.inputs, self.watching, find_events(self.owner))


_reported: ContextVar[object] = ContextVar("nadoo_flow_reported", default=None)
"""The processor whose results are reported in this context."""
