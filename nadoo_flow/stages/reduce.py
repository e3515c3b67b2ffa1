"""ReduceNode: a list folded into one value."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any, overload

from reactivex import compose
from reactivex import operators as ops

from .._support.checks import check_function, name_function
from .._support.signatures import check_returns, check_takes
from .._support.typevars import Input, Output
from ..nodes.holding import warn_of
from ..streams import Indexed, flat_map
from .fusion import Operator, StageRun
from .stage import ListStage
from .user_function import FunctionWork


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

    Raises:
        TypeError: At the call, if an argument is of a wrong type.

    Example:
        >>> total = ReduceNode(reduce_fn=lambda total, n: total + n, initial_value=0)
        >>> asyncio.run(total.run({"items": [1, 2, 3]}))
        {'result': 6}
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
        check_takes(self.reduce_fn, "reduce_fn", "the value so far", "the item")
        check_returns(self.reduce_fn, "reduce_fn", "the next value")
        self.initial_value = initial_value

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the operator that folds the items.

        Args:
            stage_run: What the stage knows of the run.
        """
        initial = copy.deepcopy(self.initial_value)
        folding = _Fold(self.node_id, self.reduce_fn, initial)

        def emit_outcome(value: Any) -> Indexed[Any]:
            stage_run.run.outstanding += 1
            return 0, value

        return compose(
            flat_map(
                stage_run.run,
                stage_run.report_work(folding),
                1,
                on_held=warn_of(self),
                drop_unstarted=stage_run.drop_unstarted,
            ),
            ops.do_action(lambda _: stage_run.run.release()),
            ops.last_or_default(initial),
            ops.map(emit_outcome),
        )

    def _name_work(self) -> str:
        return name_function(self.reduce_fn)

    def _describe_detail(self) -> str:
        return "one at a time, in order"

    def _close(self, values: list[Any]) -> Any:
        (value,) = values
        return value


class _Fold(FunctionWork[Any]):
    """Folds each item into the value so far, which is what it emits."""

    def __init__(self, node_id: str, reduce_fn: Callable[[Any, Any], Any], initial: Any) -> None:
        super().__init__(node_id)
        self._reduce_fn = reduce_fn
        self._value_so_far = initial

    def call(self, value: Any) -> Any:
        return self._reduce_fn(self._value_so_far, value)

    def explain(self, error: BaseException) -> str:
        if self._value_so_far is not None or not isinstance(error, (TypeError, AttributeError)):
            return ""
        return "; the value so far was None, so pass an initial_value"

    def make_result(self, index: int, value: Any, returned: Any) -> Any:
        self._value_so_far = returned
        return returned
