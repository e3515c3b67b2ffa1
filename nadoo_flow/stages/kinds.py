"""The list stages: map, filter and reduce, each the Rx operator of that name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

from reactivex import compose
from reactivex import operators as ops

from .._support.checks import boolean, function
from ..errors import NO_MESSAGE, NodeError
from ..events import DROPPED, FINISHED, Outcome, note_failure
from ..nodes.context import NodeContext, as_input, unwrap_item
from ..nodes.execution import execute_item
from ..nodes.node import NodeLike, as_node
from ..streams import Indexed, flat_map
from .fusion import Operator, StageRun
from .stage import ListStage

_DROPPED: Any = object()


class MapNode(ListStage):
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
        self.continue_on_error = boolean(continue_on_error, "continue_on_error")

    def _detail(self) -> str:
        from .._support.text import shortened

        child = self.child_node._box()
        policies = f" {child.detail}" if child.detail.startswith("with ") else ""
        return f"{shortened(child.name, 24)}{policies}, {super()._detail()}"

    def operator(self, stage_run: StageRun) -> Operator:
        async def work(indexed: Indexed[Any]) -> Indexed[Any]:
            index, value = indexed
            result = await execute_item(
                self.child_node, NodeContext(as_input(value)), stage_run.workflow_context
            )
            if result.success:
                return index, unwrap_item(result.output)
            error = result.error or NO_MESSAGE
            if not self.continue_on_error:
                raise NodeError(self.node_id, error, index) from result.exception
            note_failure(error)
            stage_run.on_failed(self.node_id, index, error)
            return index, _DROPPED

        watched = stage_run.watched(work)
        lanes = flat_map(stage_run.run, watched, self.max_concurrency, self.child_node.isolate)
        return compose(lanes, _without_dropped(stage_run))


class FilterNode(ListStage):
    """Keep the items of a list that a function accepts: ``filter``.

    Args:
        node_id: The name in errors; defaults to the class name.
        filter_fn: Sync or async; gets an item and returns whether to keep it.
        input_key: Where the list is in the input.
        output_key: Where the list of kept items, in input order, is in the output.
        max_concurrency: Most items that an async ``filter_fn`` looks at at a time.
    """

    def __init__(
        self,
        node_id: str | None = None,
        filter_fn: Callable[[Any], Any] | None = None,
        input_key: str = "items",
        output_key: str = "filtered",
        max_concurrency: int = 10,
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency)
        self.filter_fn = function(filter_fn, "filter_fn")

    def operator(self, stage_run: StageRun) -> Operator:
        async def accepts(value: Any) -> bool:
            answer = self.filter_fn(value)
            return bool(await answer if inspect.isawaitable(answer) else answer)

        async def judge(indexed: Indexed[Any]) -> Indexed[Any]:
            index, value = indexed
            keep = await self._called(index, accepts, value)
            return index, value if keep else _DROPPED

        watched = stage_run.watched(judge, _judged)
        lanes = flat_map(stage_run.run, watched, self.max_concurrency)
        return compose(lanes, _without_dropped(stage_run))


class ReduceNode(ListStage):
    """Fold a list into one value: ``reduce``, in input order.

    Args:
        node_id: The name in errors; defaults to the class name.
        reduce_fn: Sync or async; gets the value so far and an item, returns the next value. It is
            called for the first item too.
        initial_value: The value so far before the first item, and the outcome of an empty list.
            It is copied for every run, so a mutable one may be changed in place.
        input_key: Where the list is in the input.
        output_key: Where the value is in the output.
    """

    needs_order = True
    makes_list = False

    def __init__(
        self,
        node_id: str | None = None,
        reduce_fn: Callable[[Any, Any], Any] | None = None,
        initial_value: Any = None,
        input_key: str = "items",
        output_key: str = "result",
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency=1)
        self.reduce_fn = function(reduce_fn, "reduce_fn")
        self.initial_value = initial_value

    def operator(self, stage_run: StageRun) -> Operator:
        value_so_far = copy.deepcopy(self.initial_value)

        async def fold(indexed: Indexed[Any]) -> Any:
            nonlocal value_so_far
            index, value = indexed
            value_so_far = await self._called(index, self.reduce_fn, value_so_far, value)
            return value_so_far

        def outcome(value: Any) -> Indexed[Any]:
            stage_run.run.outstanding += 1
            return 0, value

        return compose(
            flat_map(stage_run.run, stage_run.watched(fold), 1),
            ops.do_action(lambda _: stage_run.run.release()),
            ops.last_or_default(value_so_far),
            ops.map(outcome),
        )

    def _detail(self) -> str:
        return "one at a time, in order"

    def _closed(self, values: list[Any]) -> Any:
        (value,) = values
        return value


def _judged(indexed: Indexed[Any]) -> Outcome:
    return DROPPED if indexed[1] is _DROPPED else FINISHED


def _without_dropped(stage_run: StageRun) -> Operator:
    def kept(indexed: Indexed[Any]) -> bool:
        index, value = indexed
        if value is not _DROPPED:
            return True
        stage_run.on_dropped(index)
        return False

    return ops.filter(kept)
