"""What a list stage is: a node that opens a list, runs it through an Rx operator, and closes it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from operator import itemgetter
from typing import Any, TypeAlias

from reactivex import Observable
from reactivex import operators as ops

from .checks import boolean, is_list_like, non_empty_str, positive_int, shown
from .context import NodeContext, NodeResult, WorkflowContext
from .errors import NodeError, describe
from .execution import failure
from .node import BaseNode
from .streams import (
    Indexed,
    InOrder,
    Plan,
    Source,
    Subscription,
    as_source,
    drain,
    emit,
    observe,
)

Items: TypeAlias = Observable[Indexed[Any]]
Operator: TypeAlias = Callable[[Items], Items]
OnFailed: TypeAlias = Callable[[int, str], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageRun:
    """What the operator of a stage needs to know of the run that it is built for.

    Attributes:
        run: The subscription.
        workflow_context: State that the run shares.
        on_failed: To be told of each failed item that the run goes on without.
        on_dropped: Settles an item, named by its index, that goes no further.
    """

    run: Subscription
    workflow_context: WorkflowContext
    on_failed: OnFailed
    on_dropped: Callable[[int], None]


class ListStage(BaseNode):
    """A node that works on the items of a list.

    Args:
        node_id: The name in errors; defaults to the class name.
        input_key: Where the list is in the input.
        output_key: Where the outcome is in the output, which holds nothing else.
        max_concurrency: Most items in work at a time.

    Attributes:
        needs_order: Whether the operator must see its items in input order.
    """

    needs_order = False

    def __init__(
        self, node_id: str | None, input_key: str, output_key: str, max_concurrency: int
    ) -> None:
        super().__init__(node_id)
        self.input_key = non_empty_str(input_key, "input_key")
        self.output_key = non_empty_str(output_key, "output_key")
        self.max_concurrency = positive_int(max_concurrency, "max_concurrency")

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        """Run the list under ``input_key``.

        ``metadata`` holds ``inputs`` and ``outputs`` (counts of items) and ``errors``: a list of
        ``{"index", "error"}``, one for each item that failed and was left out.
        """
        outputs: list[Indexed[Any]] = []
        errors: list[dict[str, Any]] = []
        pulled = count()

        def on_failed(index: int, error: str) -> None:
            errors.append({"index": index, "error": error})

        try:
            items = self._opened(node_context.input_data)
            source = (item for item, _ in zip(items, pulled, strict=False))
            await drain(self._plan(source, workflow_context, on_failed), outputs.append)
        except NodeError as error:
            return NodeResult(False, None, str(error), {}, error.__cause__ or error)
        except Exception as error:
            return failure(error)
        outputs.sort(key=itemgetter(0))
        errors.sort(key=itemgetter("index"))
        metadata = {"inputs": next(pulled), "outputs": len(outputs), "errors": errors}
        output = {self.output_key: self._closed([value for _, value in outputs])}
        return NodeResult(True, output, None, metadata)

    def as_operator(self, *, ordered: bool = False) -> Callable[[Observable[Any]], Observable[Any]]:
        """Return the stage as an Rx operator on values.

        Each subscription is a run of its own, needs a running event loop, and is cancelled by
        ``dispose()``. An item that fails arrives as ``on_error``, a :class:`NodeError`; where the
        stage goes on without failed items, each is logged as a warning.

        Args:
            ordered: Emit in the order of the source instead of as completed.
        """
        boolean(ordered, "ordered")

        def operator(source: Observable[Any]) -> Observable[Any]:
            plan = self._plan(source, WorkflowContext(), self._log_failed, ordered=ordered)
            return observe(plan).pipe(ops.map(itemgetter(1)))

        return operator

    def _operator(self, scope: StageRun) -> Operator:
        """Build the operator of this stage for one run."""
        raise NotImplementedError

    async def _called(self, index: int, fn: Callable[..., Any], *arguments: Any) -> Any:
        """Call a user's function, sync or async, and name the item if it fails."""
        try:
            answer = fn(*arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except Exception as error:
            raise NodeError(self.node_id, describe(error), index) from error

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
    ) -> Plan[Indexed[Any]]:
        source = as_source(source, "source")

        def build(run: Subscription) -> Items:
            in_order = InOrder[Any]()

            def on_dropped(index: int) -> None:
                if self.needs_order or ordered:
                    in_order.skip(index)
                run.release()

            operator = self._operator(StageRun(run, workflow_context, on_failed, on_dropped))
            items = emit(run, source)
            if self.needs_order:
                return items.pipe(in_order.operator, operator)
            return items.pipe(operator, in_order.operator) if ordered else items.pipe(operator)

        return Plan(build, self.max_concurrency)

    def _log_failed(self, index: int, error: str) -> None:
        _log.warning("node %r goes on without item %d: %s", self.node_id, index, error)
