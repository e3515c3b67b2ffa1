"""FilterNode: the items of a list that a function accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from reactivex import compose

from .._support.checks import check_function, name_function
from .._support.signatures import check_returns, check_takes
from .._support.typevars import Input
from ..checkpoint import StepRecord
from ..events import DROPPED, FINISHED, ItemEnd
from ..nodes.holding import warn_of
from ..nodes.node import inherits
from ..streams import Indexed, Work, flat_map
from .dropping import DROPPED_ITEM, leave_out_dropped
from .fusion import Operator, StageRun
from .recording import Recorder
from .stage import ListStage
from .user_function import FunctionWork


class FilterNode(ListStage[Input, Input, list[Input]]):
    """Keep the items of a list that a function accepts: ``filter``.

    Args:
        node_id: The name in errors; defaults to the class name.
        filter_fn: Sync or async; gets an item and returns whether to keep it.
        input_key: Where the list is in the input.
        output_key: Where the list of kept items, in input order, is in the output.
        max_concurrency: Most items that an async ``filter_fn`` looks at at a time.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> asyncio.run(FilterNode(filter_fn=lambda n: n % 2).run({"items": [1, 2, 3]}))
        {'filtered': [1, 3]}
    """

    @overload
    def __init__(
        self,
        node_id: str | None,
        filter_fn: Callable[[Input], object],
        input_key: str = "items",
        output_key: str = "filtered",
        max_concurrency: int = 10,
    ) -> None: ...
    @overload
    def __init__(
        self,
        node_id: str | None = None,
        *,
        filter_fn: Callable[[Input], object],
        input_key: str = "items",
        output_key: str = "filtered",
        max_concurrency: int = 10,
    ) -> None: ...
    def __init__(
        self,
        node_id: str | None = None,
        filter_fn: Callable[[Any], Any] | None = None,
        input_key: str = "items",
        output_key: str = "filtered",
        max_concurrency: int = 10,
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency)
        self.filter_fn = check_function(filter_fn, "filter_fn")
        check_takes(self.filter_fn, "filter_fn", "the item")
        check_returns(self.filter_fn, "filter_fn", "whether to keep the item")

    def _name_work(self) -> str:
        return name_function(self.filter_fn)

    def _is_recorded(self) -> bool:
        return inherits(self, FilterNode, "operator")

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the operator that drops what the function does not accept.

        Args:
            stage_run: What the stage knows of the run.
        """
        work: Work[Indexed[Any], Indexed[Any]] = _Judge(self.node_id, self.filter_fn)
        recorded = stage_run.record_work(work, _encode, _decode)
        reported = stage_run.report_work(recorded, _name_outcome)
        lanes = flat_map(
            stage_run.run,
            reported,
            self.max_concurrency,
            on_held=warn_of(self),
            drop_unstarted=stage_run.drop_unstarted,
        )
        return compose(lanes, leave_out_dropped(stage_run))


class _Judge(FunctionWork[Indexed[Any]]):
    """Marks the items that a function does not accept."""

    def __init__(self, node_id: str, filter_fn: Callable[[Any], Any]) -> None:
        super().__init__(node_id)
        self.call = filter_fn  # type: ignore[assignment, method-assign]

    def make_result(self, index: int, value: Any, returned: Any) -> Indexed[Any]:
        return index, value if returned else DROPPED_ITEM


def _name_outcome(indexed: Indexed[Any]) -> ItemEnd:
    return DROPPED if indexed[1] is DROPPED_ITEM else FINISHED


def _encode(recorder: Recorder, value: Any) -> bytes:
    return b"false" if value is DROPPED_ITEM else b"true"


def _decode(recorder: Recorder, record: StepRecord, value: Any) -> Any:
    return value if record.value == b"true" else DROPPED_ITEM
