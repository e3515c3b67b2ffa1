"""What subclasses of a user override, each time with an effect by which it is known to be used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    BatchResult,
    NodeContext,
    NodeResult,
    WorkflowContext,
)

OWN = "own"
"""The key in the metadata of results by which an override of ``process_single`` is known."""


def override_execute(
    node: BaseNode, form: str, pass_on: Callable[[NodeResult], NodeResult]
) -> BaseNode:
    """Let the class of a node (``"class"``) or the node itself override ``execute``."""
    kind = type(node)

    async def execute(
        self: BaseNode, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        return pass_on(await kind.execute(self, node_context, workflow_context))

    if form == "class":
        node.__class__ = type(f"Own{kind.__name__}", (kind,), {"execute": execute})
    else:
        node.execute = execute.__get__(node)  # type: ignore[method-assign]
    return node


def _marked(result: BatchResult) -> BatchResult:
    result.metadata[OWN] = True
    return result


class _WithoutContext(BatchProcessor):
    async def process_single(  # type: ignore[override]  # it is documented so
        self, input_data: Any, index: int
    ) -> BatchResult:
        return _marked(await super().process_single(input_data, index))


class _WithContext(BatchProcessor):
    async def process_single(
        self, input_data: Any, index: int, workflow_context: WorkflowContext | None = None
    ) -> BatchResult:
        return _marked(await super().process_single(input_data, index, workflow_context))


class _WithContextByName(BatchProcessor):
    async def process_single(  # type: ignore[override]
        self, input_data: Any, index: int, *, workflow_context: WorkflowContext | None = None
    ) -> BatchResult:
        return _marked(await super().process_single(input_data, index, workflow_context))


class _WithAnything(BatchProcessor):
    async def process_single(self, *given: Any, **named: Any) -> BatchResult:
        return _marked(await super().process_single(*given, **named))


class _NotAsync(BatchProcessor):
    def process_single(  # type: ignore[override]
        self, input_data: Any, index: int
    ) -> Awaitable[BatchResult]:
        async def processed() -> BatchResult:
            inherited = super(_NotAsync, self).process_single
            return _marked(await inherited(input_data, index))

        return processed()


class _Unsound(BatchProcessor):
    async def process_single(  # type: ignore[override]
        self, input_data: Any, index: int
    ) -> BatchResult:
        result = await super().process_single(input_data, index)
        if not result.success:
            result.error = result.exception or ValueError("planned")  # type: ignore[assignment]
        # No mapping is kept under the key "metadata".
        result.metadata = OWN  # type: ignore[assignment]
        return result


PROCESSORS: dict[str, type[BatchProcessor]] = {
    "": BatchProcessor,
    "without_context": _WithoutContext,
    "with_context": _WithContext,
    "with_context_by_name": _WithContextByName,
    "with_anything": _WithAnything,
    "not_async": _NotAsync,
    "unsound": _Unsound,
}
"""Processors by the form of their ``process_single``."""


def is_marked(result: BatchResult) -> bool:
    """Tell whether a result has come through an override of ``process_single``."""
    return result.metadata.get(OWN) is True or result.metadata.get("metadata") == OWN
