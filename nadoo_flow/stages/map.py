"""MapNode: a node applied to each item of a list."""

from __future__ import annotations

from typing import Any, overload

from reactivex import compose

from .._support.checks import check_bool
from .._support.typevars import Input, Output
from ..errors import NO_MESSAGE, NodeError
from ..events import note_failure
from ..nodes.context import NodeContext, as_input, unwrap_item
from ..nodes.execution import execute_item
from ..nodes.node import Answering, AsyncFunction, Function, NodeLike, as_node
from ..streams import Indexed, flat_map
from .dropping import DROPPED_ITEM, leave_out_dropped
from .fusion import Operator, StageRun
from .stage import ListStage


class MapNode(ListStage[Input, Output, list[Output]]):
    """Apply a node to each item of a list: ``flat_map`` with a merge concurrency limit.

    Args:
        node_id: The name in errors; defaults to the class name.
        child_node: A node or a function. A mapping is its input as it is, any other item arrives
            as ``{"item": value}``; an output of exactly ``{"item": value}`` becomes the value.
        input_key: Where the list is in the input.
        output_key: Where the list of outputs, in input order, is in the output.
        max_concurrency: Most items in work at a time.
        continue_on_error: With False the first item that fails cancels the others and fails the
            node. With True the output holds the successes and ``metadata["errors"]`` the rest.
    """

    @overload
    def __init__(
        self,
        node_id: str | None,
        child_node: Answering[Input, Output],
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None,
        child_node: AsyncFunction[Input, Output],
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None,
        child_node: Function[Input, Output],
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None = None,
        *,
        child_node: Answering[Input, Output],
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None = None,
        *,
        child_node: AsyncFunction[Input, Output],
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None = None,
        *,
        child_node: Function[Input, Output],
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
    ) -> None: ...
    def __init__(
        self,
        node_id: str | None = None,
        child_node: NodeLike | None = None,
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency)
        self.child_node = as_node(child_node, "child_node")
        self.continue_on_error = check_bool(continue_on_error, "continue_on_error")

    def _describe_detail(self) -> str:
        from .._support.text import shorten

        child = self.child_node._describe_box()
        policies = f" {child.detail}" if child.detail.startswith("with ") else ""
        return f"{shorten(child.name, 24)}{policies}, {super()._describe_detail()}"

    def operator(self, stage_run: StageRun) -> Operator:
        async def work(indexed: Indexed[Any]) -> Indexed[Any]:
            index, value = indexed
            result = await execute_item(
                self.child_node.execute, NodeContext(as_input(value)), stage_run.workflow_context
            )
            if result.success:
                return index, unwrap_item(result.output)
            error = result.error or NO_MESSAGE
            if not self.continue_on_error:
                raise NodeError(self.node_id, error, index) from result.exception
            if stage_run.report is not None:  # or it would be that of an item around the run
                note_failure(error)
            stage_run.on_failed(self.node_id, index, error)
            return index, DROPPED_ITEM

        reported = stage_run.report_work(work)
        lanes = flat_map(stage_run.run, reported, self.max_concurrency, self.child_node.isolate)
        return compose(lanes, leave_out_dropped(stage_run))
