"""The processing of one input of a batch: by its node, or by an override of ``process_single``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import NO_MESSAGE, NodeError
from ..events import FINISHED, ItemEnd
from ..nodes.context import NodeContext, NodeResult, WorkflowContext, as_input
from ..nodes.execution import check_result, make_item_failure, require_awaitable
from ..nodes.node import BaseNode
from ..results.batch_result import BatchResult
from ..streams import Indexed
from .overrides import make_result_sound

if TYPE_CHECKING:
    from ..checkpoint.recording import ProcessItem

ProcessSingle: TypeAlias = Callable[[Any, int, WorkflowContext], Awaitable[BatchResult]]
"""An input, its index, and the context that its run shares."""


def bind_node(
    node: BaseNode, workflow_context: WorkflowContext, time: Callable[[], float]
) -> ProcessItem:
    """Return a function that executes a node on one input; a failure is a failed result."""

    async def process(indexed: Indexed[Any]) -> BatchResult:
        index, input_data = indexed
        started = time()
        try:
            # As in execute_item(), whose calls would cost 5% of a whole item.
            data = input_data if type(input_data) is dict else as_input(input_data)
            answer = node.execute(NodeContext(data), workflow_context)
            result = await (answer if type(answer) is CoroutineType else require_awaitable(answer))
            if (
                type(result) is NodeResult
                and result.success is True
                and result.error is None
                and result.exception is None
                and type(metadata := result.metadata) is dict
            ):
                seconds = time() - started
                return BatchResult(
                    index, input_data, True, result.output, None, seconds, None, metadata
                )
            result = check_result(result)
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            result = make_item_failure(error)
        return BatchResult(
            index,
            input_data,
            result.success,
            result.output,
            result.error,
            time() - started,
            result.exception,
            result.metadata,
        )

    return process


def bind_single(
    single: ProcessSingle, workflow_context: WorkflowContext, time: Callable[[], float]
) -> ProcessItem:
    """Return a function that calls an override on one input; if it raises, the input fails."""

    async def process(indexed: Indexed[Any]) -> BatchResult:
        index, input_data = indexed
        started = time()
        try:
            answer: Any = single(input_data, index, workflow_context)
            result = await answer if inspect.isawaitable(answer) else answer
            return make_result_sound(result, "process_single")
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            failed = make_item_failure(error)
        seconds = time() - started
        return BatchResult(index, input_data, False, None, failed.error, seconds, failed.exception)

    return process


def raise_failures(node_id: str, process: ProcessItem) -> ProcessItem:
    """Return a function that processes one input and raises if it fails."""

    async def process_or_raise(indexed: Indexed[Any]) -> BatchResult:
        result = await process(indexed)
        if result.success:
            return result
        raise NodeError(node_id, result.error or NO_MESSAGE, indexed[0]) from result.exception

    return process_or_raise


def make_item_end(result: BatchResult) -> ItemEnd:
    """Return how an item ended, for its events."""
    return FINISHED if result.success else ("failed", result.error)
