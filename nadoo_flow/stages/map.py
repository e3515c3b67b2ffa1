"""MapNode: a node applied to each item of a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, overload

from reactivex import compose

from .._support.checks import check_bool, check_key
from .._support.typevars import Input, Output
from ..checkpoint import StepRecord
from ..errors import NO_MESSAGE
from ..nodes.context import NodeResult, unwrap_item
from ..nodes.execution import check_result, make_item_failure
from ..nodes.holding import warn_of
from ..nodes.item_keys import ItemKeys
from ..nodes.node import Answering, AsyncFunction, Function, NodeLike, as_node, inherits
from ..streams import Indexed, Work, flat_map
from .dropping import DROPPED_ITEM, leave_out_dropped
from .fusion import Operator, StageRun
from .recording import Recorder
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
        key: A function of an item, which gets what a function as a child would get. Items of equal
            key run one after the other, in the order of the source, whether or not they fail; the
            others go ahead of those that wait. Those count among the items on their way, so
            ``max_in_flight`` bounds them, and behind another stage order is restored first. An item
            without a hashable key fails.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> async def fetch(url):
        ...     await asyncio.sleep(1)
        ...     return 200
        >>> asyncio.run(MapNode(child_node=fetch, max_concurrency=50).run({"items": ["/a", "/b"]}))
        {'results': [200, 200]}
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
        *,
        key: Callable[[Input], Hashable] | None = None,
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
        *,
        key: Callable[[Input], Hashable] | None = None,
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
        *,
        key: Callable[[Input], Hashable] | None = None,
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
        key: Callable[[Input], Hashable] | None = None,
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
        key: Callable[[Input], Hashable] | None = None,
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
        key: Callable[[Input], Hashable] | None = None,
    ) -> None: ...
    def __init__(
        self,
        node_id: str | None = None,
        child_node: NodeLike | None = None,
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
        *,
        key: Callable[[Input], Hashable] | None = None,
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency)
        self.child_node = as_node(child_node, "child_node")
        self.continue_on_error = check_bool(continue_on_error, "continue_on_error")
        self.key = check_key(key, "key")
        self.has_keys = self.key is not None

    def _describe_detail(self) -> str:
        from .._support.text import shorten

        child = self.child_node._describe_box()
        policies = f" {child.detail}" if child.detail.startswith("with ") else ""
        return f"{shorten(child.name, 24)}{policies}, {super()._describe_detail()}"

    def _name_work(self) -> str:
        return self.child_node.node_id

    def _is_recorded(self) -> bool:
        return inherits(self, MapNode, "operator")

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the operator that executes the child for each item.

        Args:
            stage_run: What the stage knows of the run.
        """
        work: Work[Indexed[Any], Indexed[Any]] = _MapWork(self, stage_run)
        keys = None if self.key is None else ItemKeys(self.key)
        if keys is not None:
            work = keys.check_before(work)
        work = stage_run.record_work(work, _encode, _decode)
        reported = stage_run.report_work(work)
        isolate = self.child_node.isolate
        lanes = flat_map(
            stage_run.run,
            reported,
            self.max_concurrency,
            isolate,
            keys,
            warn_of(self.child_node),
            stage_run.drop_unstarted,
        )
        return compose(lanes, leave_out_dropped(stage_run))


class _MapWork(Work[Indexed[Any], Indexed[Any]]):
    """Puts each item through the child of a stage."""

    def __init__(self, stage: MapNode[Any, Any], stage_run: StageRun) -> None:
        self._stage = stage
        self._stage_run = stage_run
        self._call, self._gives_output = stage.child_node._bind(stage_run.workflow_context)

    def start(self, item: Indexed[Any], started: float) -> Any:
        return self._call(item[1])

    def finish(self, item: Indexed[Any], answer: Any, started: float) -> Indexed[Any]:
        if isinstance(answer, NodeResult) or not self._gives_output:
            try:
                answer = check_result(answer)
            except (Exception, asyncio.CancelledError) as error:
                return self.fail(item, error, started)
            self._stage_run.count_usage(answer)
            if not answer.success:
                return self._leave_out(item[0], answer)
            answer = answer.output
        return item[0], unwrap_item(answer)

    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> Indexed[Any]:
        return self._leave_out(item[0], make_item_failure(error))

    def _leave_out(self, index: int, failed: NodeResult) -> Indexed[Any]:
        self._stage_run.leave_out(self._stage, index, failed.error or NO_MESSAGE, failed)
        return index, DROPPED_ITEM


def _encode(recorder: Recorder, value: Any) -> bytes | None:
    return None if value is DROPPED_ITEM else recorder.encode(value)


def _decode(recorder: Recorder, record: StepRecord, value: Any) -> Any:
    return recorder.decode(record)
