"""The work on one input of a batch: by its node, or by an override of ``process_single``."""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from typing_extensions import override

from .._support.usage import read_numbers
from ..errors import NO_MESSAGE, NodeError
from ..events import FINISHED, ItemEnd
from ..nodes.context import NodeResult, WorkflowContext
from ..nodes.execution import as_answer, check_result, make_item_failure
from ..nodes.node import BaseNode
from ..results.batch_result import BatchResult
from ..streams import Indexed, Work, WrappedWork
from .overrides import check_index, make_result_sound

ProcessSingle: TypeAlias = Callable[[Any, int, WorkflowContext], Awaitable[BatchResult]]
"""An input, its index, and the context that its run shares."""

ItemWork: TypeAlias = Work[Indexed[Any], BatchResult]


class ResultWork(ItemWork):
    """The base of the work on an input: a failure is a failed result.

    Args:
        time: The clock of the loop.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        # Added to times of the loop, so that the order of starts outlives a clock that is set.
        self._to_epoch = wall.time() - time()

    @override
    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> BatchResult:
        return self.make_result(item, make_item_failure(error), started)

    def make_result(self, item: Indexed[Any], result: NodeResult, started: float) -> BatchResult:
        """Return the result of an item, given that of the node."""
        index, input_data = item
        return BatchResult(
            index,
            input_data,
            result.success,
            result.output,
            result.error,
            self._time() - started,
            result.exception,
            result.metadata,
            started + self._to_epoch,
        )


class NodeWork(ResultWork):
    """Puts an input through a node.

    Args:
        node: The node.
        workflow_context: What the run shares.
        time: The clock of the loop.
    """

    def __init__(
        self, node: BaseNode, workflow_context: WorkflowContext, time: Callable[[], float]
    ) -> None:
        super().__init__(time)
        self._call, self._gives_output = node._bind(workflow_context)

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        return self._call(item[1])

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        index, input_data = item
        if isinstance(answer, NodeResult) or not self._gives_output:
            try:
                result = check_result(answer)
            except (Exception, asyncio.CancelledError) as error:
                return self.fail(item, error, started)
            return self.make_result(item, result, started)
        seconds = self._time() - started
        began = started + self._to_epoch
        return BatchResult(index, input_data, True, answer, None, seconds, None, {}, began)


class SingleWork(ResultWork):
    """Calls an override of ``process_single`` on an input; if it raises, the input fails."""

    def __init__(
        self,
        single: ProcessSingle,
        workflow_context: WorkflowContext,
        time: Callable[[], float],
    ) -> None:
        super().__init__(time)
        self._single = single
        self._workflow_context = workflow_context

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        return as_answer(self._single(item[1], item[0], self._workflow_context))

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        try:
            return check_index(make_result_sound(answer, "process_single"), item[0])
        except (Exception, asyncio.CancelledError) as error:
            return self.fail(item, error, started)


class RaiseFailures(WrappedWork[Indexed[Any], BatchResult]):
    """Raises what would be a failed result.

    Args:
        node_id: The node to name.
        work: The work that fails.
    """

    def __init__(self, node_id: str, work: ItemWork) -> None:
        super().__init__(work)
        self._node_id = node_id

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        return self._raise_if_failed(self._finish(item, answer, started))

    @override
    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> BatchResult:
        return self._raise_if_failed(self._fail(item, error, started))

    def _raise_if_failed(self, result: BatchResult) -> BatchResult:
        if result.success:
            return result
        index, error = result.index, result.error or NO_MESSAGE
        raise NodeError(self._node_id, error, index) from result.exception


def make_item_end(result: BatchResult) -> ItemEnd:
    """Return how an item ended, for its events."""
    usage = read_numbers(result.metadata.get("usage")) or None if result.metadata else None
    if result.success:
        return FINISHED if usage is None else ItemEnd("finished", None, usage)
    return ItemEnd("failed", result.error, usage, result.exception)
