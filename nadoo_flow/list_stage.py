"""What a list stage is: a node that opens a list, runs it through an Rx operator, and closes it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from reactivex import Observable
from reactivex import operators as ops

from .checks import boolean, is_list_like, non_empty_str, positive_int, shown
from .context import NodeContext, NodeResult, WorkflowContext
from .errors import NodeError, describe
from .execution import failure
from .fusion import OnFailed, Operator, StageRun, fuse
from .node import BaseNode
from .streams import (
    BUFFER,
    Buffering,
    CloseableAsyncIterator,
    Indexed,
    OverflowStrategy,
    Plan,
    Source,
    Subscription,
    as_source,
    drain,
    emit,
    observe,
)
from .tasks import is_being_cancelled

_log = logging.getLogger(__name__)


class ListStage(BaseNode):
    """A node that works on the items of a list.

    ``a | b`` of two stages whose keys meet (``a.output_key == b.input_key``) is a :class:`Chain`:
    the items flow through both one by one, and no list is made between them.

    Args:
        node_id: The name in errors; defaults to the class name.
        input_key: Where the list is in the input.
        output_key: Where the outcome is in the output, which holds nothing else.
        max_concurrency: Most items in work at a time.

    Attributes:
        needs_order: Whether the operator must see its items in input order.
        makes_list: Whether the outcome is a list again.
    """

    needs_order = False
    makes_list = True

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
            plan = self._plan(source, workflow_context, on_failed)
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

    def stream(
        self,
        source: Source[Any],
        *,
        ordered: bool = False,
        max_in_flight: int | None = None,
        workflow_context: WorkflowContext | None = None,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
    ) -> CloseableAsyncIterator[Any]:
        """Yield the outputs of a source of items when they are there, endlessly if it is endless.

        A slow consumer slows the source down. Nothing starts before the first output is asked
        for. Leave the iterator early with ``async with`` or ``aclose()``.

        Args:
            source: An iterable, an async iterable, or an Observable. The latter may emit from any
                thread, and cannot be slowed down.
            ordered: Yield in the order of the source instead of as completed.
            max_in_flight: Most items between the source and the consumer; four for each of
                ``max_concurrency`` by default.
            workflow_context: State that the whole run shares; a fresh one by default.
            buffer: Most items of an Observable that may wait.
            overflow: What happens to an item more than that. What was dropped is counted in the
                iterator's ``dropped``.

        Raises:
            NodeError: From the iterator: the first item that failed, when the rest has ended. An
                item that a stage goes on without is logged as a warning.
            BufferOverflowError: From the iterator, after all that had arrived before.
            Exception: From the iterator: an error of the source, after all that came before it.
        """
        buffering = Buffering(buffer, overflow)
        plan = self._values(source, ordered, max_in_flight, workflow_context, buffering)
        return CloseableAsyncIterator(plan)

    def observe(
        self,
        source: Source[Any],
        *,
        ordered: bool = False,
        max_in_flight: int | None = None,
        workflow_context: WorkflowContext | None = None,
        buffer: int = BUFFER,
        overflow: OverflowStrategy = OverflowStrategy.ERROR,
    ) -> Observable[Any]:
        """Return the cold Observable that :meth:`stream` iterates over, with the same arguments.

        Each subscription is a run of its own, needs a running event loop, and is cancelled by
        ``dispose()``.
        """
        buffering = Buffering(buffer, overflow)
        return observe(self._values(source, ordered, max_in_flight, workflow_context, buffering))

    def as_operator(self, *, ordered: bool = False) -> Callable[[Observable[Any]], Observable[Any]]:
        """Return the stage as an Rx operator on values, for anyone's own ``pipe``.

        As with Rx's own ``merge(max_concurrent)`` what cannot be taken yet waits, without a limit;
        use :meth:`observe` on the source for one.

        Args:
            ordered: Emit in the order of the source instead of as completed.
        """
        boolean(ordered, "ordered")
        return lambda source: self.observe(
            source, ordered=ordered, overflow=OverflowStrategy.BUFFER
        )

    def operator(self, stage_run: StageRun) -> Operator:
        """Build the Rx operator of this stage for one run; a kind of stage writes this."""
        raise NotImplementedError(f"{type(self).__name__} must define operator()")

    def _then(self, following: BaseNode) -> tuple[BaseNode, ...]:
        if (
            isinstance(following, ListStage)
            and self.makes_list
            and self.output_key == following.input_key
        ):
            return (Chain(*self.stages, *following.stages),)
        return super()._then(following)

    async def _called(self, index: int, fn: Callable[..., Any], *arguments: Any) -> Any:
        """Call a user's function, sync or async, and name the item if it fails."""
        try:
            answer = fn(*arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except Exception as error:
            raise NodeError(self.node_id, describe(error), index) from error
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            raise NodeError(self.node_id, describe(error), index) from error

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
        workflow_context: WorkflowContext,
        on_failed: OnFailed,
        *,
        ordered: bool = False,
        max_in_flight: int | None = None,
        buffering: Buffering | None = None,
    ) -> Plan[Indexed[Any]]:
        source = as_source(source, "source")

        def build(run: Subscription) -> Observable[Indexed[Any]]:
            chain = fuse(self.stages, run, workflow_context, on_failed, ordered=ordered)
            return emit(run, source, buffering).pipe(chain)

        return Plan(build, self.max_concurrency, max_in_flight)

    def _values(
        self,
        source: Source[Any],
        ordered: bool,
        max_in_flight: int | None,
        workflow_context: WorkflowContext | None,
        buffering: Buffering,
    ) -> Plan[Any]:
        boolean(ordered, "ordered")
        if max_in_flight is not None:
            positive_int(max_in_flight, "max_in_flight")
        plan = self._plan(
            source,
            WorkflowContext() if workflow_context is None else workflow_context,
            _log_failed,
            ordered=ordered,
            max_in_flight=max_in_flight,
            buffering=buffering,
        )
        return plan.through(ops.map(itemgetter(1)))


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


def _log_failed(stage_id: str, index: int, error: str) -> None:
    _log.warning("node %r goes on without item %d: %s", stage_id, index, error)
