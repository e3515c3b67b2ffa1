"""Makes real nodes, policies and stages of what a case says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import reduce
from operator import or_
from typing import Any

from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    BatchResult,
    ConcurrencyLimit,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    OperatorNode,
    ParallelNode,
    ParallelStrategy,
    Pipeline,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.policies import fallback, limit, rate_limit, retry, timeout

from .acts import perform, perform_without_waiting
from .case import Act, Batch, Leaf, Nested, Policy, Several, Stage, Work
from .ledger import Ledger
from .rx_operators import OPERATORS
from .values import key_of


class Builder:
    """Builds for one run; equal shared policies are one object."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.limits: dict[tuple[str, float], ConcurrencyLimit] = {}
        self._rates: dict[float, Callable[[BaseNode], BaseNode]] = {}

    def node(self, work: Work) -> BaseNode:
        """Make a node that answers with its item, whatever happens inside."""
        match work:
            case Leaf():
                return self._leaf(work)
            case Several("pipeline", nodes):
                return Pipeline(*map(self.node, nodes))
            case Several(strategy, nodes):
                parallel = ParallelNode([*map(self.node, nodes)], ParallelStrategy(strategy))
                return Pipeline(parallel, FunctionNode(_any_output))
            case Policy():
                return self.node(work.node).pipe(self._policy(work))
            case Nested():
                return _NestedNode(self.stages(work.stages), work.length)

    def stages(self, stages: tuple[Stage, ...]) -> BaseNode:
        """Make one node of list stages."""
        return reduce(or_, map(self._stage, stages))

    def batch(self, batch: Batch) -> BatchProcessor:
        """Make a processor."""
        node = self.node(batch.work)
        if batch.isolate == "task":
            node.isolate = "task"
        if not batch.own_single:
            return BatchProcessor(node, batch.limit, batch.continue_on_error)
        processor = _OwnSingle(node, batch.limit, batch.continue_on_error)
        processor.ledger = self.ledger
        return processor

    def _leaf(self, leaf: Leaf) -> BaseNode:
        ledger, acts = self.ledger, leaf.acts

        async def work(value: Any) -> Any:
            with ledger.execution(leaf.name, key_of(value)):
                act = acts[key_of(value) % len(acts)]
                if act.kind in ("bad_answer", "failure"):
                    return _answer(act)
                await perform(act, ledger)
            return value

        def work_without_waiting(value: Any) -> Any:
            with ledger.execution(leaf.name, key_of(value)):
                perform_without_waiting(acts[key_of(value) % len(acts)], ledger)
            return value

        if leaf.form == "sync":
            return FunctionNode(work_without_waiting, leaf.name)
        return FunctionNode(work, leaf.name) if leaf.form == "async" else _Node(leaf.name, work)

    def _policy(self, policy: Policy) -> Callable[[BaseNode], BaseNode]:
        number = policy.number
        match policy.kind:
            case "timeout":
                return timeout(number)
            case "retry":
                return retry(int(number), wait=0.5)
            case "rate_limit":
                return self._rates.setdefault(number, rate_limit(number))
            case "fallback":
                return fallback(*map(self.node, policy.others))
        key = policy.kind, number
        if key not in self.limits:
            adaptive = policy.kind == "adaptive"
            kind = AdaptiveLimit if adaptive else ConcurrencyLimit
            self.limits[key] = kind(int(number))
        return limit(self.limits[key])

    def _stage(self, stage: Stage) -> BaseNode:
        keys = {"input_key": "items", "output_key": "items"}
        match stage.kind:
            case "map":
                child = self.node(stage.work)
                if stage.isolate == "task":
                    child.isolate = "task"
                return MapNode(
                    None,
                    child,
                    max_concurrency=stage.limit,
                    continue_on_error=stage.continue_on_error,
                    **keys,
                )
            case "filter":
                return FilterNode(None, self._judge(stage), max_concurrency=stage.limit, **keys)
            case "reduce":
                return ReduceNode(None, self._fold(stage), [], **keys)
            case "operator":
                made = [OPERATORS[name]() for name in stage.operators]
                return OperatorNode(*made, **keys)
        return FunctionNode(lambda data: data, "pass")

    def _judge(self, stage: Stage) -> Callable[[Any], Any]:
        work = self._function(stage)

        async def keep(value: Any) -> bool:
            await work(value)
            return is_kept(value)

        def keep_at_once(value: Any) -> bool:
            work(value)
            return is_kept(value)

        return keep if _is_async(stage) else keep_at_once

    def _fold(self, stage: Stage) -> Callable[[Any, Any], Any]:
        work = self._function(stage)

        async def fold(so_far: list[Any], value: Any) -> list[Any]:
            await work(value)
            return [*so_far, value]

        def fold_at_once(so_far: list[Any], value: Any) -> list[Any]:
            work(value)
            return [*so_far, value]

        return fold if _is_async(stage) else fold_at_once

    def _function(self, stage: Stage) -> Callable[[Any], Any]:
        assert isinstance(stage.work, Leaf)
        node = self._leaf(stage.work)
        assert isinstance(node, FunctionNode)
        return node.fn


def _is_async(stage: Stage) -> bool:
    return isinstance(stage.work, Leaf) and stage.work.form == "async"


def is_kept(value: Any) -> bool:
    """Tell whether the filters keep an item."""
    return key_of(value) % 3 != 2


def _any_output(outputs: Any) -> Any:
    return next(iter(outputs.values())) if isinstance(outputs, dict) else outputs


def _answer(act: Act) -> NodeResult | None:
    return None if act.kind == "bad_answer" else NodeResult(False, error="planned")


class _Node(BaseNode):
    def __init__(self, node_id: str, work: Callable[[Any], Awaitable[Any]]) -> None:
        super().__init__(node_id)
        self._work = work

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        value = node_context.input_data
        if isinstance(value, dict) and len(value) == 1 and "item" in value:
            value = value["item"]
        answer = await self._work(value)
        if answer is None or isinstance(answer, NodeResult):
            return answer  # type: ignore[return-value]  # a wrong answer is what some are for
        return NodeResult(True, answer)


class _NestedNode(BaseNode):
    def __init__(self, inner: BaseNode, length: int) -> None:
        super().__init__()
        self._inner = inner
        self._length = length

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        value = node_context.input_data
        if isinstance(value, dict) and len(value) == 1 and "item" in value:
            value = value["item"]
        context = NodeContext({"items": nested_items(value, self._length)})
        result = await self._inner.execute(context, workflow_context)
        return NodeResult(True, value) if result.success else result


def nested_items(value: Any, length: int) -> list[int]:
    """Make the items of a nested run; none is an item of another one."""
    return [key_of(value) * 100 + number for number in range(length)]


class _OwnSingle(BatchProcessor):
    """Has a ``process_single`` of its own, and counts the calls of it that have not ended."""

    ledger: Ledger
    unfinished = 0

    def process_single(
        self, input_data: Any, index: int, workflow_context: WorkflowContext | None = None
    ) -> Any:
        self.unfinished += 1
        if self.unfinished > self.max_concurrency:
            self.ledger.find("process_single is called before a lane is free")
        return self._counted(input_data, index, workflow_context)

    async def _counted(
        self, input_data: Any, index: int, workflow_context: WorkflowContext | None
    ) -> BatchResult:
        try:
            return await super().process_single(input_data, index, workflow_context)
        finally:
            self.unfinished -= 1
