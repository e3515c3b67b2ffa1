"""The context that a run shares with an override of ``process_single`` that takes none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from ..nodes.context import WorkflowContext
from ..results.batch_result import BatchResult
from .item import ProcessSingle
from .overrides import accept_context


def share_context(
    owner: object, process_single: Callable[..., Awaitable[BatchResult]]
) -> ProcessSingle:
    """Return a function that calls an override, and gives it the context of its run.

    An override without a parameter for the context may call the inherited method, which then finds
    the context with :func:`find_shared_context`.

    Args:
        owner: The processor.
        process_single: The override, bound to the processor.
    """
    accepting = accept_context(process_single, 2)
    if accepting is not None:
        return accepting

    async def process(
        input_data: Any, index: int, workflow_context: WorkflowContext
    ) -> BatchResult:
        token = _shared.set((owner, workflow_context))
        try:
            return await process_single(input_data, index)
        finally:
            _shared.reset(token)

    return process


def find_shared_context(owner: object) -> WorkflowContext:
    """Return the context of the run in which a processor is called, or a fresh one outside."""
    sharer, workflow_context = _shared.get()
    return workflow_context if sharer is owner else WorkflowContext()


_shared: ContextVar[tuple[object, WorkflowContext]] = ContextVar(
    "nadoo_flow_shared_context", default=(None, WorkflowContext())
)
