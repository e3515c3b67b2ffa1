"""ExpandNode: items whose outputs are items too, until nothing new comes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from .._support.checks import check_key, check_positive_int, describe_value
from .._support.typevars import Input
from ..errors import NodeError, describe_error
from ..nodes.context import unwrap_item
from ..nodes.item_keys import find_key_fault
from ..streams import expand
from .flat_map import ChildWork, ManyNode, ManyStage
from .fusion import Operator, StageRun


class ExpandNode(ManyStage[Input, Input]):
    """Emit items, the outputs of a node for each, and the outputs for these: ``expand``.

    So a crawler is a node from a page to its links. It ends when no item gives anything new. Items
    whose outputs have not been asked for yet wait in memory, without a limit.

    Args:
        node_id: The name in errors; defaults to the class name.
        child_node: Gives many outputs for one item, as that of a ``FlatMapNode`` does.
        input_key: Where the list is in the input.
        output_key: Where the list of all items is in the output: those of the input, then the
            outputs of the first, and so on.
        max_concurrency: Most items whose outputs are pulled at a time.
        continue_on_error: With False the first item that fails cancels the others and fails the
            node. With True the run goes on without the outputs of that item.
        key: Returns the key of an item, as a function node would get the item. An item whose key
            was seen before is dropped. All keys are remembered. By default nothing is dropped.
        max_items: How many items are emitted at most; then it ends. No limit by default.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> LINKS = {"/": ["/a", "/b"], "/a": ["/b"], "/b": ["/"]}
        >>> crawler = ExpandNode(child_node=LINKS.get, key=lambda page: page)
        >>> asyncio.run(crawler.run({"items": ["/"]}))
        {'results': ['/', '/a', '/b']}
    """

    renumbers = True

    def __init__(
        self,
        node_id: str | None = None,
        child_node: ManyNode[Input, Input] | None = None,
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
        *,
        key: Callable[[Input], Hashable] | None = None,
        max_items: int | None = None,
    ) -> None:
        super().__init__(
            node_id, child_node, input_key, output_key, max_concurrency, continue_on_error
        )
        self.key = check_key(key, "key")
        self.max_items = None if max_items is None else check_positive_int(max_items, "max_items")

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the operator that feeds the outputs of the items back.

        Args:
            stage_run: What the stage knows of the run.
        """
        return expand(
            stage_run.run,
            ChildWork(self, stage_run),
            self.max_concurrency,
            self.child_node.isolate,
            ordered=stage_run.ordered,
            get_key=None if self.key is None else self._get_key,
            name_error=self._name_error,
            max_items=self.max_items,
            wrap=stage_run.report_work,
            drop_unstarted=stage_run.drop_unstarted,
        )

    def _get_key(self, value: Any) -> Hashable:
        assert self.key is not None
        key: Hashable = self.key(unwrap_item(value))
        if (fault := find_key_fault(key)) is not None:
            raise TypeError(
                f"key must return {fault}, got {describe_value(key)} "
                f"for the item {describe_value(value)}"
            )
        return key

    def _name_error(self, error: Exception) -> NodeError:
        named = NodeError(self.node_id, describe_error(error))
        named.__cause__ = error
        return named
