"""The live face of a list stage: sources that may never end in, outputs as they complete out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from operator import itemgetter
from typing import Any

from reactivex import Observable
from reactivex import operators as ops

from .._support.checks import boolean, positive_int
from ..events import Events
from ..events.event import ProgressArgument, Watching, watched
from ..nodes.context import WorkflowContext
from ..nodes.node import BaseNode
from ..streams import (
    BUFFER,
    Buffering,
    CloseableAsyncIterator,
    Indexed,
    OverflowStrategy,
    Plan,
    Source,
    observe,
)
from ..tracing.trace import Trace
from .fusion import OnFailed

_log = logging.getLogger(__name__)


class LiveStage(BaseNode):
    """A node that can also take its items one by one, from anywhere, and give outputs so."""

    @cached_property
    def events(self) -> Events:
        """What happens in the runs that begin from now on: a hot Observable of :class:`Event`."""
        # Threads that ask for it at the same time must get the same one.
        return vars(self).setdefault("events", Events())  # type: ignore[no-any-return]

    async def run(
        self,
        input_data: Any,
        workflow_context: WorkflowContext | None = None,
        *,
        progress: ProgressArgument = False,
        trace: Trace | None = None,
    ) -> Any:
        """Execute the stage on one input and return its output.

        Args:
            input_data: A mapping with a list of items under the stage's ``input_key``.
            workflow_context: State to share with other runs; a fresh one by default.
            progress: Whether to show a progress bar for each stage, on a stderr that is a terminal,
                or in a notebook; ``"always"`` writes to any stderr.
            trace: Records what happens.

        Raises:
            NodeError: If the stage fails; its ``__cause__`` is the exception behind it.
        """
        with watched(Watching(progress, trace)):
            return await super().run(input_data, workflow_context)

    def stream(
        self,
        source: Source[Any],
        *,
        ordered: bool = False,
        max_in_flight: int | None = None,
        workflow_context: WorkflowContext | None = None,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
        progress: ProgressArgument = False,
        trace: Trace | None = None,
    ) -> CloseableAsyncIterator[Any]:
        """Yield the outputs of a source of items when they are there, endlessly if it is endless.

        A slow consumer slows the source down. Nothing starts before the first output is asked
        for. Leave the iterator early with ``async with`` or ``aclose()``.

        Args:
            source: An iterable, an async iterable, or an Observable. The latter may emit from any
                thread, and cannot be slowed down.
            ordered: Yield in the order of the source instead of as completed.
            max_in_flight: Most items between the source and the consumer; four for each of
                ``max_concurrency`` by default.
            workflow_context: State that the whole run shares; a fresh one by default.
            buffer: Most items of an Observable that may wait.
            overflow: What happens to an item more than that. What was dropped is counted in the
                iterator's ``dropped``.
            progress: Whether to show a progress bar for each stage, on a stderr that is a terminal,
                or in a notebook; ``"always"`` writes to any stderr.
            trace: Records what happens.

        Raises:
            NodeError: From the iterator: the first item that failed, when the rest has ended. An
                item that a stage goes on without is logged as a warning.
            BufferOverflowError: From the iterator, after all that had arrived before.
            Exception: From the iterator: an error of the source, after all that came before it.
        """
        buffering = Buffering(buffer, overflow)
        watching = Watching(progress, trace)
        plan = self._values(source, ordered, max_in_flight, workflow_context, buffering, watching)
        return CloseableAsyncIterator(plan)

    def observe(
        self,
        source: Source[Any],
        *,
        ordered: bool = False,
        max_in_flight: int | None = None,
        workflow_context: WorkflowContext | None = None,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
        progress: ProgressArgument = False,
        trace: Trace | None = None,
    ) -> Observable[Any]:
        """Return the cold Observable that :meth:`stream` iterates over, with the same arguments.

        Each subscription is a run of its own, needs a running event loop, and is cancelled by
        ``dispose()``.
        """
        buffering = Buffering(buffer, overflow)
        watching = Watching(progress, trace)
        return observe(
            self._values(source, ordered, max_in_flight, workflow_context, buffering, watching)
        )

    def as_operator(self, *, ordered: bool = False) -> Callable[[Observable[Any]], Observable[Any]]:
        """Return the stage as an Rx operator on values, for anyone's own ``pipe``.

        As with Rx's own ``merge(max_concurrent)`` what cannot be taken yet waits, without a limit;
        use :meth:`observe` on the source for one.

        Args:
            ordered: Emit in the order of the source instead of as completed.
        """
        boolean(ordered, "ordered")
        return lambda source: self.observe(
            source, ordered=ordered, overflow=OverflowStrategy.BUFFER
        )

    def _plan(
        self,
        source: Source[Any],
        workflow_context: WorkflowContext | None,
        on_failed: OnFailed,
        *,
        ordered: bool = False,
        max_in_flight: int | None = None,
        buffering: Buffering | None = None,
        watching: Watching | None = None,
    ) -> Plan[Indexed[Any]]:
        """Plan a run of the stage over a source; a kind of stage writes this.

        Each run has a fresh WorkflowContext unless one is given.
        """
        raise NotImplementedError

    def _values(
        self,
        source: Source[Any],
        ordered: bool,
        max_in_flight: int | None,
        workflow_context: WorkflowContext | None,
        buffering: Buffering,
        watching: Watching,
    ) -> Plan[Any]:
        boolean(ordered, "ordered")
        if max_in_flight is not None:
            max_in_flight = positive_int(max_in_flight, "max_in_flight")
        plan = self._plan(
            source,
            workflow_context,
            _log_failed,
            ordered=ordered,
            max_in_flight=max_in_flight,
            buffering=buffering,
            watching=watching,
        )
        return plan.through(ops.map(itemgetter(1)))


def _log_failed(stage_id: str, index: int, error: str) -> None:
    _log.warning("node %r goes on without item %d: %s", stage_id, index, error)
