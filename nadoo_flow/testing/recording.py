"""Recording what each stage of a chain, or each node of a pipeline, sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import CoroutineType
from typing import Any, NamedTuple, overload

from reactivex import operators as ops

from .._support.checks import describe_value
from ..nodes import BaseNode, NodeResult, Pipeline, WorkflowContext
from ..nodes.context import unwrap_item
from ..nodes.execution import Bound
from ..stages import ListStage
from ..stages.fusion import Items, Operator, StageRun
from ..stages.indexes import get_source_index


class Passage(NamedTuple):
    """An item that has come into a stage, or out of it.

    Attributes:
        time: Seconds, by the clock of the loop.
        value: The item.
        index: The position of the item in the source of the stage; None where it is not an item of
            a list, but the input of a node.

    Example:
        >>> Passage(1.5, "hello", index=0).time
        1.5
    """

    time: float
    value: Any
    index: int | None = None  # type: ignore[assignment]  # it hides tuple.index


class StageRecord:
    """What one stage, or one node, has seen.

    Args:
        stage: The id of the node.

    Attributes:
        stage: The id of the node.
        entered: What came in, in this order.
        left: What came out, in this order. What failed or was dropped did not.

    Example:
        >>> stage = MapNode("double", lambda n: n * 2)
        >>> with record(stage) as seen:
        ...     output = asyncio.run(stage.run({"items": [1, 2]}))
        >>> seen["double"]
        <StageRecord of 'double': [1, 2] -> [2, 4]>
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.entered: list[Passage] = []
        self.left: list[Passage] = []

    @property
    def inputs(self) -> list[Any]:
        """The items that came in, in this order."""
        return [passage.value for passage in self.entered]

    @property
    def outputs(self) -> list[Any]:
        """The items that came out, in this order."""
        return [passage.value for passage in self.left]

    def __repr__(self) -> str:
        return f"<StageRecord of {self.stage!r}: {self.inputs!r} -> {self.outputs!r}>"


class Recording(Sequence[StageRecord]):
    """The records of all stages, by their positions or by their ids.

    Args:
        records: The records, in the order of the stages.

    Example:
        >>> with record(FunctionNode(str.strip, "trim") | len) as seen:
        ...     [own.stage for own in seen]
        ['trim', 'len']
    """

    def __init__(self, records: Sequence[StageRecord]) -> None:
        self._records = tuple(records)

    @overload
    def __getitem__(self, stage: int | str) -> StageRecord: ...
    @overload
    def __getitem__(self, stage: slice) -> Sequence[StageRecord]: ...
    def __getitem__(self, stage: int | str | slice) -> StageRecord | Sequence[StageRecord]:
        if not isinstance(stage, str):
            return self._records[stage]
        found = [record for record in self._records if record.stage == stage]
        if len(found) == 1:
            return found[0]
        ids = ", ".join(repr(record.stage) for record in self._records)
        raise LookupError(
            f"there must be one stage {stage!r}, and there are {len(found)} among {ids}; "
            "a position is taken too"
        )

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"Recording([{', '.join(map(repr, self._records))}])"


@contextmanager
def record(node: BaseNode[Any, Any]) -> Iterator[Recording]:
    """Record what each stage of a chain, or each node of a pipeline, sees inside the block.

    All runs of it are recorded, one behind the other, also those that something else starts, such
    as a BatchProcessor. It is not for several threads.

    Args:
        node: A stage, a chain of stages, a pipeline of nodes or stages, or one node. One that
            stands in a pipeline twice has one record. What a generator gives is seen as the outputs
            of the stage whose child it is, so record the stage.

    Raises:
        TypeError: If it is no node.

    Example:
        >>> from nadoo_flow import FilterNode, MapNode
        >>> chain = MapNode("double", lambda n: n * 2, output_key="all") | FilterNode(
        ...     "large", lambda n: n > 3, input_key="all"
        ... )
        >>> with record(chain) as seen:
        ...     asyncio.run(chain.run({"items": [1, 2, 3]}))
        {'filtered': [4, 6]}
        >>> seen["double"].outputs, seen["large"].outputs
        ([2, 4, 6], [4, 6])
    """
    if not isinstance(node, BaseNode):
        raise TypeError(f"node must be a node, got {describe_value(node)}")
    parts = list({id(part): part for part in _list_parts(node)}.values())
    recording = Recording([StageRecord(part.node_id) for part in parts])
    with ExitStack() as stack:
        for part, own in zip(parts, recording, strict=True):
            if isinstance(part, ListStage):
                _replace(stack, part, "operator", partial(_tap_operator, part.operator, own))
            else:
                _replace(stack, part, "_bind", partial(_tap_bound, part._bind, own))
        yield recording


def _list_parts(node: BaseNode[Any, Any]) -> Iterator[BaseNode[Any, Any]]:
    if isinstance(node, ListStage):
        yield from node.stages
    elif isinstance(node, Pipeline):
        for inner in node.nodes:
            yield from _list_parts(inner)
    else:
        yield node


def _replace(stack: ExitStack, owner: Any, name: str, replacement: Any) -> None:
    """Replace a method of one object until the stack is closed."""
    # By this the library sees that no subclass overrides it, which would turn much off.
    replacement.__func__ = getattr(owner, name).__func__
    before = vars(owner).get(name)
    setattr(owner, name, replacement)
    if before is None:
        stack.callback(delattr, owner, name)
    else:
        stack.callback(setattr, owner, name, before)


def _tap_operator(
    build: Callable[[StageRun], Operator], own: StageRecord, stage_run: StageRun
) -> Operator:
    loop = asyncio.get_running_loop()
    operator = build(stage_run)

    def note(passages: list[Passage], item: tuple[int, Any]) -> None:
        index, value = item
        passages.append(Passage(loop.time(), value, get_source_index(index)))

    def tapped(items: Items) -> Items:
        return items.pipe(
            ops.do_action(partial(note, own.entered)),
            operator,
            ops.do_action(partial(note, own.left)),
        )

    return tapped


def _tap_bound(
    bind: Callable[[WorkflowContext], Bound], own: StageRecord, workflow_context: WorkflowContext
) -> Bound:
    bound = bind(workflow_context)
    loop = asyncio.get_running_loop()

    def call(value: Any) -> Any:
        own.entered.append(Passage(loop.time(), unwrap_item(value)))
        answer = bound.call(value)
        return finish(answer) if type(answer) is CoroutineType else note(answer)

    async def finish(answering: Coroutine[Any, Any, Any]) -> Any:
        return note(await answering)

    def note(answer: Any) -> Any:
        is_result = isinstance(answer, NodeResult)
        if (is_result and answer.success) or (bound.gives_output and not is_result):
            output = answer.output if is_result else answer
            own.left.append(Passage(loop.time(), unwrap_item(output)))
        return answer

    return Bound(call, bound.gives_output)
