"""The pipeline of the demo: read documents, leave out empty ones, and add up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nadoo_flow import (
    BaseNode,
    FilterNode,
    MapNode,
    NodeContext,
    NodeResult,
    ReduceNode,
    WorkflowContext,
)

from .digest import digest


class DocumentProcessor(BaseNode):
    """Read one document and make its digest.

    Args:
        node_id: The name in errors.
        on_done: Called after each document, also one that could not be read.
    """

    def __init__(self, node_id: str, on_done: Callable[[], None]) -> None:
        super().__init__(node_id)
        self.on_done = on_done

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Work in a thread: reading and parsing must not hold up the event loop."""
        document = node_context.input_data["document"]
        try:
            return NodeResult(success=True, output=await asyncio.to_thread(digest, document))
        finally:
            self.on_done()


def build_pipeline(on_done: Callable[[], None], longest: int) -> BaseNode:
    """Make the pipeline: from ``{"documents": [...]}`` to ``{"totals": {...}}``.

    Args:
        on_done: Called after each document.
        longest: How many of the longest documents to keep.
    """

    def add_up(totals: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        by_length = sorted([*totals["longest"], document], key=lambda doc: -doc["word_count"])
        return {
            "documents": totals["documents"] + 1,
            "words": totals["words"] + document["word_count"],
            "entities": totals["entities"] + len(document["entities"]),
            "longest": by_length[:longest],
        }

    read = MapNode(
        node_id="read",
        child_node=DocumentProcessor("document", on_done),
        input_key="documents",
        output_key="read",
        max_concurrency=5,
        continue_on_error=True,
    )
    not_empty = FilterNode(
        node_id="not_empty",
        filter_fn=lambda document: document["word_count"] > 0,
        input_key="read",
        output_key="not_empty",
    )
    total = ReduceNode(
        node_id="total",
        reduce_fn=add_up,
        initial_value={"documents": 0, "words": 0, "entities": 0, "longest": []},
        input_key="not_empty",
        output_key="totals",
    )
    return read | not_empty | total
