"""FlatMapNode: a node that gives many outputs, applied to each item of a list."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Hashable, Iterable
from typing import Any, TypeAlias

from reactivex import Observable, compose
from typing_extensions import override

from .._support.checks import check_bool, check_key
from .._support.typevars import Input, Output
from ..errors import NO_MESSAGE
from ..nodes.context import NodeResult
from ..nodes.execution import make_item_failure
from ..nodes.item_keys import ItemKeys
from ..nodes.many import ManyInput
from ..nodes.node import BaseNode, as_node, inherits
from ..streams import Indexed, ManyWork, Outlet, flat_map_many
from .fusion import Operator, StageRun
from .held_outputs import hold_until_written
from .indexes import OutputIndex, get_source_index
from .recorded_outputs import RecordedManyWork
from .stage import ListStage

Many: TypeAlias = "Iterable[Output] | AsyncIterable[Output] | Observable[Output]"
"""What holds many outputs."""
ManyNode: TypeAlias = (
    "BaseNode[Input, Any] | Callable[[Input], Many[Output] | Awaitable[Many[Output]]]"
)
"""A node, or a function, that gives many outputs for one input."""


class ManyStage(ListStage[Input, Output, list[Output]]):
    """The base of the stages whose child gives many outputs for an item."""

    flattens = True

    def __init__(
        self,
        node_id: str | None,
        child_node: ManyNode[Input, Output] | None,
        input_key: str,
        output_key: str,
        max_concurrency: int,
        continue_on_error: bool,
    ) -> None:
        super().__init__(node_id, input_key, output_key, max_concurrency)
        self.child_node = as_node(child_node, "child_node")
        self.continue_on_error = check_bool(continue_on_error, "continue_on_error")

    def _name_work(self) -> str:
        return self.child_node.node_id

    def _describe_detail(self) -> str:
        return f"{self.child_node.node_id}, {super()._describe_detail()}"


class FlatMapNode(ManyStage[Input, Output]):
    """Apply a node that gives many outputs to each item of a list, and emit all the outputs.

    Outputs are pulled within the demand: never more than the window of the run holds, however many
    an item has. A generator that is left early is closed before the run ends. ``run`` keeps all
    outputs for its list, so an endless generator is for ``stream``; a cancel ends it anywhere.

    Args:
        node_id: The name in errors; defaults to the class name.
        child_node: A generator function, sync or async, or a node or function (sync or async) that
            gives an iterable, an async iterable or an Observable. A text, bytes or a mapping is one
            output. What an Observable emits before it is wanted waits, without a limit. Policies
            let the outputs of a generator function through one by one, and ``on`` in chunks; only
            behind ``hedge``, ``cache`` and policies of your own they arrive as a list.
        input_key: Where the list is in the input.
        output_key: Where the list of all outputs, in input order, is in the output.
        max_concurrency: Most items whose outputs are pulled at a time.
        continue_on_error: With False the first item that fails cancels the others and fails the
            node; what it has given before is emitted, unless it is to be behind outputs of an item
            before it. With True the run goes on without the rest of the item, and
            ``metadata["errors"]`` holds it.
        key: A function of an item, as for a :class:`MapNode`: all outputs of an item are pulled
            before those of the next one of an equal key.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> def split(text):
        ...     yield from text.split()
        >>> asyncio.run(FlatMapNode(child_node=split).run({"items": ["one two", "three"]}))
        {'results': ['one', 'two', 'three']}
    """

    def __init__(
        self,
        node_id: str | None = None,
        child_node: ManyNode[Input, Output] | None = None,
        input_key: str = "items",
        output_key: str = "results",
        max_concurrency: int = 10,
        continue_on_error: bool = False,
        *,
        key: Callable[[Input], Hashable] | None = None,
    ) -> None:
        super().__init__(
            node_id, child_node, input_key, output_key, max_concurrency, continue_on_error
        )
        self.key = check_key(key, "key")
        self.has_keys = self.key is not None

    def _is_recorded(self) -> bool:
        return inherits(self, FlatMapNode, "operator")

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the operator that pulls the outputs of the items.

        Args:
            stage_run: What the stage knows of the run.
        """
        keys = None if self.key is None else ItemKeys(self.key)
        work: ManyWork[Indexed[Any]] = ChildWork(self, stage_run, keys)
        recorder = stage_run.recorder
        if recorder is not None:
            work = RecordedManyWork(recorder, work)
        operator: Operator = flat_map_many(
            stage_run.run,
            work,
            self.max_concurrency,
            self.child_node.isolate,
            ordered=stage_run.ordered,
            keys=keys,
            wrap=stage_run.report_work,
            drop_unstarted=stage_run.drop_unstarted,
            get_index=_name_source if stage_run.indexed or recorder is not None else None,
        )
        if recorder is None:
            return operator
        return compose(operator, hold_until_written(stage_run.run, recorder.journal))


def _name_source(number: int, parent: Indexed[Any]) -> int:
    return OutputIndex(number, get_source_index(parent[0]))


class ChildWork(ManyWork[Indexed[Any]]):
    """Puts each item through the child of a stage, which gives its outputs to an outlet."""

    def __init__(
        self, stage: ManyStage[Any, Any], stage_run: StageRun, keys: ItemKeys | None = None
    ) -> None:
        self._stage = stage
        self._keys = keys
        self._stage_run = stage_run
        self._call = stage.child_node._bind_many(stage_run.workflow_context).call

    @override
    def pull(self, item: Indexed[Any], outlet: Outlet) -> Any:
        if self._keys is not None:
            self._keys.raise_failure(item)
        return self._call(ManyInput(item[1], outlet))

    @override
    def check(self, item: Indexed[Any], answer: Any) -> None:
        if isinstance(answer, NodeResult):
            self._stage_run.count_usage(answer)
            if not answer.success:
                raise _FailedError(answer)

    @override
    def fail(self, item: Indexed[Any], error: BaseException, outputs: int) -> None:
        failed = error.result if isinstance(error, _FailedError) else make_item_failure(error)
        text = failed.error or NO_MESSAGE
        if outputs:
            text = f"after {outputs:,} output{'s' if outputs > 1 else ''}: {text}"
        self._stage_run.leave_out(self._stage, item[0], text, failed)


class _FailedError(Exception):
    """Carries the failed result of a child."""

    def __init__(self, result: NodeResult) -> None:
        super().__init__(result.error)
        self.result = result
