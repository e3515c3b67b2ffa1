"""What a list stage is: a node that opens a list, runs it through an Rx operator, and closes it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from reactivex import Observable

from .._support.checks import is_list_like, non_empty_str, positive_int, shown
from ..drawing.parts import Part
from ..errors import NO_MESSAGE, NodeError
from ..events import RunReport, report_run
from ..events.event import StageInfo, Watching, wanted
from ..nodes.context import NodeContext, NodeResult, WorkflowContext
from ..nodes.execution import failure, failure_of_item
from ..nodes.node import BaseNode, inherits
from ..streams import (
    Buffering,
    Indexed,
    Plan,
    Source,
    Subscription,
    as_source,
    default_window,
    drain,
    emit,
)
from .fusion import OnFailed, Operator, StageRun, fuse
from .live import LiveStage


class ListStage(LiveStage):
    """A node that works on the items of a list.

    ``a | b`` of two stages whose keys meet (``a.output_key == b.input_key``) is a :class:`Chain`:
    the items flow through both one by one, and no list is made between them. A stage that overrides
    ``execute``, which a chain does not call, stays apart; one that overrides ``operator`` does not.

    Args:
        node_id: The name in errors; defaults to the class name.
        input_key: Where the list is in the input.
        output_key: Where the outcome is in the output, which holds nothing else.
        max_concurrency: Most items in work at a time.

    Attributes:
        needs_order: Whether the operator must see its items in input order.
        makes_list: Whether the outcome is a list again.
        renumbers: Whether the items of the outcome are others than those that came in.
    """

    needs_order = False
    makes_list = True
    renumbers = False

    def __init__(
        self, node_id: str | None, input_key: str, output_key: str, max_concurrency: int
    ) -> None:
        super().__init__(node_id)
        self.input_key = non_empty_str(input_key, "input_key")
        self.output_key = non_empty_str(output_key, "output_key")
        self.max_concurrency = positive_int(max_concurrency, "max_concurrency")

    @property
    def stages(self) -> tuple[ListStage, ...]:
        """The stages that this one consists of: itself, unless it is a chain."""
        return (self,)

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Run the list under ``input_key``.

        ``metadata`` holds ``inputs`` and ``outputs`` (counts of items) and ``errors``: one
        ``{"index", "error"}`` for each item that failed and was left out, in a chain with the id
        of its ``"stage"`` and the index that the item had when it entered the chain.
        """
        outputs: list[Indexed[Any]] = []
        errors: list[dict[str, Any]] = []

        def on_failed(stage_id: str, index: int, error: str) -> None:
            stage = {"stage": stage_id} if len(self.stages) > 1 else {}
            errors.append({"index": index, "error": error, **stage})

        try:
            source = self._opened(node_context.input_data)
            plan = self._plan(source, workflow_context, on_failed, watching=wanted())
            run = await drain(plan, outputs.append)
        except NodeError as error:
            return NodeResult(False, None, self._located(error), {}, error.__cause__ or error)
        except Exception as error:
            return failure(error)
        outputs.sort(key=itemgetter(0))
        errors.sort(key=itemgetter("index"))
        metadata = {"inputs": run.pulled, "outputs": len(outputs), "errors": errors}
        output = {self.output_key: self._closed([value for _, value in outputs])}
        return NodeResult(True, output, None, metadata)

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the Rx operator of this stage for one run; a kind of stage writes this.

        The operator gets and emits items with their indexes, and may subscribe to them once.
        """
        raise NotImplementedError(f"{type(self).__name__} must define operator()")

    def _then(self, following: BaseNode) -> tuple[BaseNode, ...]:
        self._check_key_of(following)
        if not (
            isinstance(following, ListStage)
            and self.makes_list
            and self.output_key == following.input_key
            and self._fuses()
            and following._fuses()
            and inherits(self.stages[-1], ListStage, "_closed")
        ):
            return super()._then(following)
        chain = Chain(*self.stages, *following.stages)
        if "task" in (self.isolate, following.isolate):
            chain.isolate = "task"
        return (chain,)

    def _fuses(self) -> bool:
        """Return whether a chain of the stage does all that executing it would do."""
        return inherits(self, ListStage, "execute", "_opened", "_plan")

    def _check_key_of(self, following: BaseNode) -> None:
        """Refuse a stage that is certain to miss its list in what this one puts out."""
        if not isinstance(following, ListStage) or self.output_key == following.input_key:
            return
        # One that overrides what a chain leaves out may put out more, or look elsewhere.
        if self._fuses() and following._fuses():
            raise ValueError(
                f"the input_key of {following.node_id!r} must be {self.output_key!r}, the only key "
                f"in the output of {self.node_id!r}, got {following.input_key!r}"
            )

    async def _called(self, index: int, fn: Callable[..., Any], *arguments: Any) -> Any:
        """Call a user's function, sync or async, and name the item if it fails."""
        try:
            answer = fn(*arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            result = failure_of_item(error)
            raise NodeError(self.node_id, result.error or NO_MESSAGE, index) from error

    def _parts(self) -> tuple[Part, ...]:
        boxes = tuple(stage._box() for stage in self.stages)
        if len(boxes) == 1:
            return (Part(boxes),)
        window = default_window(self.max_concurrency)
        return (Part(boxes, f"one chain: items pass one by one, at most {window:,} on their way"),)

    def _detail(self) -> str:
        return f"at most {self.max_concurrency:,} at a time"

    def _located(self, error: NodeError) -> str:
        stage = f"stage {error.node_id!r}: " if len(self.stages) > 1 else ""
        item = f"item {error.index}: " if error.index is not None else ""
        return f"{stage}{item}{error.error}"

    def _closed(self, values: list[Any]) -> Any:
        """Make the outcome of the values that were emitted."""
        return values

    def _opened(self, data: Any) -> Iterable[Any]:
        key = self.input_key
        if not isinstance(data, Mapping):
            raise TypeError(f"the input must be a mapping with the key {key!r}, got {shown(data)}")
        if key not in data:
            found = ", ".join(repr(name) for name in data) or "no keys"
            raise LookupError(f"the input has no key {key!r}; it has {found}")
        items = data[key]
        if not is_list_like(items):
            raise TypeError(f"the input's {key!r} must be a list of items, got {shown(items)}")
        return items

    def _plan(
        self,
        source: Source[Any],
        workflow_context: WorkflowContext | None,
        on_failed: OnFailed,
        *,
        ordered: bool = False,
        max_in_flight: int | None = None,
        buffering: Buffering | None = None,
        watching: Watching | None = None,
    ) -> Plan[Indexed[Any]]:
        items, source = source, as_source(source, "source")

        def build(run: Subscription) -> Observable[Indexed[Any]]:
            report = self._report(items, watching or Watching())
            shared = WorkflowContext() if workflow_context is None else workflow_context
            chain = fuse(self.stages, run, shared, on_failed, ordered=ordered, report=report)
            if report is None:
                return emit(run, source, buffering).pipe(chain)
            run.on_end(report.end)
            told = (buffering or Buffering()).told(report.stages[0].overflowed)
            return emit(run, source, told).pipe(chain)

        return Plan(build, self.max_concurrency, max_in_flight)

    def _report(self, items: object, watching: Watching) -> RunReport | None:
        stages = [
            StageInfo(stage.node_id, stage.max_concurrency, stage.renumbers)
            for stage in self.stages
        ]
        to_each = [vars(stage).get("events") for stage in self.stages]
        return report_run(stages, items, watching, vars(self).get("events"), to_each)


class Chain(ListStage):
    """List stages whose keys meet, as one: ``a | b | c`` makes it.

    Items flow through all stages one by one, within one window, so the second stage works on the
    first outputs while the first stage still works on the rest.
    """

    def __init__(self, *stages: ListStage) -> None:
        super().__init__(
            " | ".join(stage.node_id for stage in stages),
            stages[0].input_key,
            stages[-1].output_key,
            sum(stage.max_concurrency for stage in stages),
        )
        self._stages = stages
        self.makes_list = stages[-1].makes_list

    @property
    def stages(self) -> tuple[ListStage, ...]:
        """The stages, in their order."""
        return self._stages

    def _closed(self, values: list[Any]) -> Any:
        return self._stages[-1]._closed(values)
