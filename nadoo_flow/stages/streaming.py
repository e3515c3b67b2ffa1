"""The ways to run a stage over a source of items."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, Literal, overload

from reactivex import Observable

from .._support.checks import check_bool
from .._support.typevars import Input_contra, Output_co
from ..events import ProgressArgument, WatchOptions
from ..nodes.context import WorkflowContext
from ..storage import Codec
from ..streams import (
    BUFFER,
    Buffering,
    CloseableAsyncIterator,
    OverflowStrategy,
    Plan,
    Source,
    Valve,
    check_valve,
    observe,
)
from ..tracing.trace import Trace
from .indexes import IndexedOutput
from .options import RunOptions
from .resuming import make_chain_checkpoint


class Streaming(Generic[Input_contra, Output_co]):
    """A base of the stages, which can be run over live and endless sources."""

    @overload
    def stream(
        self,
        source: Source[Input_contra],
        *,
        ordered: bool = ...,
        indexed: Literal[False] = ...,
        max_in_flight: int | None = ...,
        workflow_context: WorkflowContext | None = ...,
        buffer: int = ...,
        overflow: OverflowStrategy = ...,
        progress: ProgressArgument = ...,
        trace: Trace | None = ...,
        valve: Valve | None = ...,
        checkpoint: str | os.PathLike[str] | None = ...,
        codec: Codec | None = ...,
    ) -> CloseableAsyncIterator[Output_co]: ...
    @overload
    def stream(
        self,
        source: Source[Input_contra],
        *,
        ordered: bool = ...,
        indexed: Literal[True],
        max_in_flight: int | None = ...,
        workflow_context: WorkflowContext | None = ...,
        buffer: int = ...,
        overflow: OverflowStrategy = ...,
        progress: ProgressArgument = ...,
        trace: Trace | None = ...,
        valve: Valve | None = ...,
        checkpoint: str | os.PathLike[str] | None = ...,
        codec: Codec | None = ...,
    ) -> CloseableAsyncIterator[IndexedOutput[Output_co]]: ...
    def stream(
        self,
        source: Source[Input_contra],
        *,
        ordered: bool = False,
        indexed: bool = False,
        max_in_flight: int | None = None,
        workflow_context: WorkflowContext | None = None,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
        progress: ProgressArgument = False,
        trace: Trace | None = None,
        valve: Valve | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        codec: Codec | None = None,
    ) -> Any:
        """Yield the outputs of a source of items when they are there, endlessly if it is endless.

        A slow consumer slows the source down. Nothing starts before the first output is asked
        for. Leave the iterator early with ``async with`` or ``aclose()``.

        Args:
            source: An iterable, an async iterable, or an Observable. The latter may emit from any
                thread, and cannot be slowed down.
            ordered: Yield in the order of the source instead of as completed.
            indexed: Yield named tuples ``(index, value)`` with the position of the item in the
                source; many outputs of one item have the same.
            max_in_flight: Most items between the source and the consumer; four for each of
                ``max_concurrency`` by default.
            workflow_context: State that the whole run shares; a fresh one by default.
            buffer: Most items of an Observable that may wait.
            overflow: What happens to an item more than that. What was dropped is counted in the
                iterator's ``dropped``.
            progress: Whether to show a progress bar for each stage, on a stderr that is a terminal,
                or in a notebook; ``"always"`` writes to any stderr.
            trace: Records what happens.
            valve: Drains the run, as the iterator's own ``drain`` does.
            checkpoint: A file in which each stage records what it has made of an item before that
                goes on. The next run with it does only what is missing, and yields everything. It
                belongs to the stages, by their ids, and to the items of the source.
            codec: How outputs are stored there; as JSON by default.

        Raises:
            NodeError: From the iterator: the first item that failed, when the rest has ended. An
                item that a stage goes on without is logged as a warning.
            CheckpointError: From the iterator, if the checkpoint cannot be used, or belongs to
                another chain or to other items.
            BufferOverflowError: From the iterator, after all that had arrived before.
            Exception: From the iterator: an error of the source, after all that came before it.

        Example:
            >>> stage = MapNode(child_node=str.upper)
            >>> async def main():
            ...     async with stage.stream(["a", "b"], ordered=True) as outputs:
            ...         return [output async for output in outputs]
            >>> asyncio.run(main())
            ['A', 'B']
        """
        buffering, watching = Buffering(buffer, overflow), WatchOptions(progress, trace)
        options = RunOptions(
            ordered,
            indexed,
            max_in_flight,
            workflow_context,
            buffering,
            watching,
            valve,
            make_chain_checkpoint(checkpoint, codec),
        )
        return CloseableAsyncIterator(self._plan_values(source, options))

    @overload
    def observe(
        self,
        source: Source[Input_contra],
        *,
        ordered: bool = ...,
        indexed: Literal[False] = ...,
        max_in_flight: int | None = ...,
        workflow_context: WorkflowContext | None = ...,
        buffer: int = ...,
        overflow: OverflowStrategy = ...,
        progress: ProgressArgument = ...,
        trace: Trace | None = ...,
        valve: Valve | None = ...,
        checkpoint: str | os.PathLike[str] | None = ...,
        codec: Codec | None = ...,
    ) -> Observable[Output_co]: ...
    @overload
    def observe(
        self,
        source: Source[Input_contra],
        *,
        ordered: bool = ...,
        indexed: Literal[True],
        max_in_flight: int | None = ...,
        workflow_context: WorkflowContext | None = ...,
        buffer: int = ...,
        overflow: OverflowStrategy = ...,
        progress: ProgressArgument = ...,
        trace: Trace | None = ...,
        valve: Valve | None = ...,
        checkpoint: str | os.PathLike[str] | None = ...,
        codec: Codec | None = ...,
    ) -> Observable[IndexedOutput[Output_co]]: ...
    def observe(
        self,
        source: Source[Input_contra],
        *,
        ordered: bool = False,
        indexed: bool = False,
        max_in_flight: int | None = None,
        workflow_context: WorkflowContext | None = None,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
        progress: ProgressArgument = False,
        trace: Trace | None = None,
        valve: Valve | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        codec: Codec | None = None,
    ) -> Any:
        """Return the cold Observable that :meth:`stream` iterates over, with the same arguments.

        Each subscription is a run of its own, needs a running event loop, and is cancelled by
        ``dispose()``.

        Args:
            source: An iterable, an async iterable, or an Observable.
            ordered: Emit in the order of the source instead of as completed.
            indexed: Emit named tuples ``(index, value)``.
            max_in_flight: Most items between the source and the observer.
            workflow_context: State that all runs share; a fresh one for each by default.
            buffer: Most items of an Observable that may wait.
            overflow: What happens to an item more than that.
            progress: Whether to show progress bars, or ``"always"``.
            trace: Records what happens.
            valve: Drains the runs.
            checkpoint: A file in which each stage records what it has made of an item.
            codec: How outputs are stored there; as JSON by default.

        Example:
            >>> from reactivex import operators as ops
            >>> stage = MapNode(child_node=str.upper)
            >>> async def main():
            ...     return await stage.observe(["a", "b"], ordered=True).pipe(ops.to_list())
            >>> asyncio.run(main())
            ['A', 'B']
        """
        buffering, watching = Buffering(buffer, overflow), WatchOptions(progress, trace)
        options = RunOptions(
            ordered,
            indexed,
            max_in_flight,
            workflow_context,
            buffering,
            watching,
            valve,
            make_chain_checkpoint(checkpoint, codec),
        )
        return observe(self._plan_values(source, options))

    def as_operator(
        self, *, ordered: bool = False, valve: Valve | None = None
    ) -> Callable[[Observable[Input_contra]], Observable[Output_co]]:
        """Return the stage as an Rx operator on values, for anyone's own ``pipe``.

        As with Rx's own ``merge(max_concurrent)`` what cannot be taken yet waits, without a limit;
        use :meth:`observe` on the source for one.

        Args:
            ordered: Emit in the order of the source instead of as completed.
            valve: Drains the runs.

        Example:
            >>> import reactivex as rx
            >>> async def main():
            ...     return await rx.of("a", "b").pipe(MapNode(child_node=str.upper).as_operator())
            >>> asyncio.run(main())
            'B'
        """
        check_bool(ordered, "ordered")
        check_valve(valve)
        return lambda source: self.observe(
            source, ordered=ordered, overflow=OverflowStrategy.BUFFER, valve=valve
        )

    def _plan_values(self, source: Source[Any], options: RunOptions) -> Plan[Any]:
        """Plan runs that emit values; a stage writes this."""
        raise NotImplementedError
