"""The settings of a processor, and the plan of a run with them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

from .._support.checks import (
    check_bool,
    check_key,
    check_non_negative_number,
    check_positive_int,
    describe_value,
)
from .._support.clock import get_clock
from .._support.typevars import Input, Output
from ..events import HasEvents
from ..events.event import ProgressArgument, StageInfo, WatchOptions, as_progress
from ..nodes.context import WorkflowContext
from ..nodes.node import Answering, AsyncFunction, BaseNode, Function, NodeLike, as_node
from ..results.batch_result import BatchResult
from ..results.stopped import RunningSummary
from ..streams import Buffering, Plan, Source, Valve, as_source, check_valve, do_work
from ..tracing.trace import Trace
from .item import NodeWork
from .outcome import Outcome
from .reporting import BatchReporting
from .run import BatchRun
from .shared_context import find_shared_context, share_context

if TYPE_CHECKING:
    from ..checkpoint import Checkpoint, Codec, StepsFile
    from ..dead_letters import FailedTo
    from .limits import Limits

FailedToArgument: TypeAlias = (
    "str | os.PathLike[str] | Callable[[BatchResult[Input, Any]], object] | None"
)
"""The argument ``failed_to``: a file, or a function of a failed result."""


class BatchPlanner(HasEvents, Generic[Input, Output]):
    """The base of a processor: its settings, its events, and how it processes one input."""

    @overload
    def __init__(
        self,
        node: Answering[Input, Output],
        max_concurrency: int = 10,
        continue_on_error: bool = True,
        *,
        progress: ProgressArgument = False,
        trace: bool | Trace = False,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        checkpoint_each: bool = False,
        codec: Codec | None = None,
        key: Callable[[Input], Hashable] | None = None,
        failed_to: FailedToArgument[Input] = None,
        valve: Valve | None = None,
        deadline: float | None = None,
        grace: float = 5.0,
        max_failures: float | None = None,
        max_usage: Mapping[str, float] | None = None,
        stop_when: Callable[[RunningSummary], object] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node: AsyncFunction[Input, Output],
        max_concurrency: int = 10,
        continue_on_error: bool = True,
        *,
        progress: ProgressArgument = False,
        trace: bool | Trace = False,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        checkpoint_each: bool = False,
        codec: Codec | None = None,
        key: Callable[[Input], Hashable] | None = None,
        failed_to: FailedToArgument[Input] = None,
        valve: Valve | None = None,
        deadline: float | None = None,
        grace: float = 5.0,
        max_failures: float | None = None,
        max_usage: Mapping[str, float] | None = None,
        stop_when: Callable[[RunningSummary], object] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node: Function[Input, Output],
        max_concurrency: int = 10,
        continue_on_error: bool = True,
        *,
        progress: ProgressArgument = False,
        trace: bool | Trace = False,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        checkpoint_each: bool = False,
        codec: Codec | None = None,
        key: Callable[[Input], Hashable] | None = None,
        failed_to: FailedToArgument[Input] = None,
        valve: Valve | None = None,
        deadline: float | None = None,
        grace: float = 5.0,
        max_failures: float | None = None,
        max_usage: Mapping[str, float] | None = None,
        stop_when: Callable[[RunningSummary], object] | None = None,
    ) -> None: ...
    def __init__(
        self,
        node: NodeLike,
        max_concurrency: int = 10,
        continue_on_error: bool = True,
        *,
        progress: ProgressArgument = False,
        trace: bool | Trace = False,
        checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
        checkpoint_each: bool = False,
        codec: Codec | None = None,
        key: Callable[[Input], Hashable] | None = None,
        failed_to: FailedToArgument[Input] = None,
        valve: Valve | None = None,
        deadline: float | None = None,
        grace: float = 5.0,
        max_failures: float | None = None,
        max_usage: Mapping[str, float] | None = None,
        stop_when: Callable[[RunningSummary], object] | None = None,
    ) -> None:
        self.node = as_node(node, "node")
        self.max_concurrency = check_positive_int(max_concurrency, "max_concurrency")
        self.continue_on_error = check_bool(continue_on_error, "continue_on_error")
        self.steps = (
            _make_steps(self.node, checkpoint, is_overridden=self._overrides_single)
            if check_bool(checkpoint_each, "checkpoint_each")
            else None
        )
        is_batch = checkpoint is not None and self.steps is None
        self.checkpoint = _make_checkpoint(checkpoint) if is_batch else None
        self.codec = codec
        self.key = check_key(key, "key")
        self.failed_to = failed_to
        self._make_failed_to()
        self.valve = check_valve(valve)
        self.limits = _make_limits(deadline, grace, max_failures, max_usage, stop_when)
        self.progress = as_progress(progress)
        if not isinstance(trace, (bool, Trace)):
            raise TypeError(f"trace must be True, False or a Trace, got {describe_value(trace)}")
        self.trace = trace

    # Python names it in the error for a misspelt argument, and users call it by this name.
    __init__.__qualname__ = "BatchProcessor.__init__"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.node!r}, max_concurrency={self.max_concurrency})"

    async def process_single(
        self, input_data: Input, index: int, workflow_context: WorkflowContext | None = None
    ) -> BatchResult[Input, Output]:
        """Process one input; a failure is a failed result, whatever ``continue_on_error`` says.

        Args:
            input_data: The input.
            index: Its position, for the result.
            workflow_context: State that the whole run shares; a fresh one by default, or within
                :meth:`batch` that of the run.
        """
        shared = find_shared_context(self) if workflow_context is None else workflow_context
        time = get_clock(asyncio.get_running_loop())
        return await do_work(NodeWork(self.node, shared, time), (index, input_data), time())

    def _plan(
        self,
        inputs: Source[Input],
        workflow_context: WorkflowContext | None,
        buffering: Buffering,
        outcome: Outcome | None = None,
        watching: WatchOptions | None = None,
        indexes: Sequence[int] | None = None,
        *,
        reports_failed: bool = True,
    ) -> Plan[BatchResult[Input, Output]]:
        source = as_source(inputs, "inputs")
        watching = watching or WatchOptions(self.progress, self._own_trace)
        run = BatchRun(
            self.node,
            self.max_concurrency,
            self.continue_on_error,
            self.checkpoint,
            self.steps,
            self.codec,
            self.key,
            self._make_failed_to() if reports_failed else None,
            share_context(self, self.process_single) if self._overrides_single else None,
            self._make_reporting(inputs, watching),
            self.valve,
            self.limits,
        )
        outcome = outcome or Outcome(self, inputs)
        return run.plan(source, workflow_context, buffering, outcome, indexes)

    def _make_failed_to(self) -> FailedTo | None:
        """Return what opens ``failed_to`` for a run."""
        if self.failed_to is None:
            return None
        from ..dead_letters import as_failed_to

        return as_failed_to(self.failed_to, self.codec)

    @property
    def _overrides_single(self) -> bool:
        """Whether a subclass has a ``process_single`` of its own."""
        return type(self).process_single is not BatchPlanner.process_single

    @property
    def _own_trace(self) -> Trace | None:
        """The trace of all runs, if there is one."""
        return self.trace if isinstance(self.trace, Trace) else None

    def _make_reporting(self, inputs: object, watching: WatchOptions) -> BatchReporting:
        stage = StageInfo(self.node.node_id, self.max_concurrency)
        return BatchReporting(self, stage, inputs, watching)


def _make_limits(deadline: object, grace: object, *others: object) -> Limits | None:
    if deadline is None and all(limit is None for limit in others):
        check_non_negative_number(grace, "grace")
        return None
    from .limits import Limits

    limits: Any = Limits
    made: Limits = limits(deadline, grace, *others)
    return made


def _make_checkpoint(value: object) -> Checkpoint:
    from ..checkpoint import as_checkpoint

    return as_checkpoint(value)


def _make_steps(node: BaseNode, path: object, *, is_overridden: bool) -> StepsFile:
    from .recorded_pipeline import make_steps_file

    return make_steps_file(node, path, is_overridden=is_overridden)
