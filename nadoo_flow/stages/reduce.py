"""ReduceNode: a list folded into one value."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any, overload

from reactivex import compose
from reactivex import operators as ops

from .._support.checks import check_function
from .._support.typevars import Input, Output
from ..streams import Indexed, flat_map
from .fusion import Operator, StageRun
from .stage import ListStage
from .user_function import call_for_item


class ReduceNode(ListStage[Input, Output, Output]):
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

    @overload
    def __init__(
        self,
        node_id: str | None,
        reduce_fn: Callable[[Any, Input], Awaitable[Output]],
        initial_value: Any = None,
        input_key: str = "items",
        output_key: str = "result",
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None,
        reduce_fn: Callable[[Any, Input], Output],
        initial_value: Any = None,
        input_key: str = "items",
        output_key: str = "result",
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None = None,
        *,
        reduce_fn: Callable[[Any, Input], Awaitable[Output]],
        initial_value: Any = None,
        input_key: str = "items",
        output_key: str = "result",
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None = None,
        *,
        reduce_fn: Callable[[Any, Input], Output],
        initial_value: Any = None,
        input_key: str = "items",
        output_key: str = "result",
    ) -> None: ...
    def __init__(
        self,
        node_id: str | None = None,
        reduce_fn: Callable[[Any, Any], Any] | None = None,
        initial_value: Any = None,
        input_key: str = "items",
        output_key: str = "result",
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency=1)
        self.reduce_fn = check_function(reduce_fn, "reduce_fn")
        self.initial_value = initial_value

    def operator(self, stage_run: StageRun) -> Operator:
        value_so_far = copy.deepcopy(self.initial_value)

        async def fold(indexed: Indexed[Any]) -> Any:
            nonlocal value_so_far
            index, value = indexed
            value_so_far = await call_for_item(
                self.node_id, index, self.reduce_fn, value_so_far, value
            )
            return value_so_far

        def emit_outcome(value: Any) -> Indexed[Any]:
            stage_run.run.outstanding += 1
            return 0, value

        return compose(
            flat_map(stage_run.run, stage_run.report_work(fold), 1),
            ops.do_action(lambda _: stage_run.run.release()),
            ops.last_or_default(value_so_far),
            ops.map(emit_outcome),
        )

    def _describe_detail(self) -> str:
        return "one at a time, in order"

    def _close(self, values: list[Any]) -> Any:
        (value,) = values
        return value
