"""Makes real nodes, policies and stages of what a case says."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from nadoo_flow import (
    AdaptiveLimit,
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    ExpandNode,
    FilterNode,
    FlatMapNode,
    FunctionNode,
    MapNode,
    NodeResult,
    OperatorNode,
    ParallelNode,
    ParallelStrategy,
    Pipeline,
    ReduceNode,
    Trace,
)
from nadoo_flow.checkpoint import Checkpoint
from nadoo_flow.policies import fallback, limit, rate_limit, retry, timeout

from .acts import perform, perform_without_waiting
from .answers import ANSWERS
from .case import Around, Batch, Leaf, Nested, Policy, Several, Stage, Work
from .ledger import Ledger
from .letters import Letters
from .many_nodes import make_many
from .overriding import PROCESSORS, override_execute
from .policies import LATER, LaterPolicies
from .rx_operators import OPERATORS
from .user_nodes import NestedNode, OwnNode
from .values import is_kept, key_of


class Builder:
    """Builds for one run; equal shared policies are one object."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.later = LaterPolicies(ledger)
        self.letters = Letters(ledger)
        self.limits: dict[tuple[str, float], ConcurrencyLimit] = {}
        self._rates: dict[float, Callable[[BaseNode], BaseNode]] = {}

    def node(self, work: Work) -> BaseNode:
        """Make a node that answers with its item, whatever happens inside."""
        match work:
            case Leaf():
                return self._leaf(work)
            case Several("pipeline", nodes):
                return Pipeline(*map(self.node, nodes))
            case Several("class_pipeline" | "instance_pipeline" as how, (first, *rest)):
                form = how.removesuffix("_pipeline")
                own = override_execute(Pipeline(*map(self.node, rest)), form, _as_seen)
                return self.node(first) | own | self._unseen
            case Several(strategy, nodes):
                parallel = ParallelNode([*map(self.node, nodes)], ParallelStrategy(strategy))
                return Pipeline(parallel, FunctionNode(_any_output))
            case Policy(kind) if kind in LATER:
                return self.later.wrap(work, self.node)
            case Policy():
                return self.node(work.node).pipe(self._policy(work))
            case Nested():
                return NestedNode(work, self.stages(work.stages), self.ledger)

    def stages(self, stages: tuple[Stage, ...]) -> BaseNode:
        """Make one node of list stages."""
        return reduce(or_, map(self._stage, stages))

    def batch(
        self,
        batch: Batch,
        trace: Trace | None = None,
        checkpoint: Checkpoint | None = None,
        **limits: Any,
    ) -> BatchProcessor:
        """Make a processor."""
        node = self.node(batch.work)
        if batch.isolate == "task":
            node.isolate = "task"
        kind = PROCESSORS[batch.own_single]
        return kind(
            node,
            batch.limit,
            batch.continue_on_error,
            trace=trace or False,
            checkpoint=checkpoint,
            key=_make_key(batch.keys),
            **limits,
        )

    def _unseen(self, value: Any) -> Any:
        """Take off what an override of ``execute`` has put around a value."""
        if not isinstance(value, _Seen):
            self.ledger.find("a pipeline that overrides execute was not executed")
            return value
        return value.value

    def _as_counted(self, result: NodeResult) -> NodeResult:
        self.ledger.own_executions += 1
        return result

    def _leaf(self, leaf: Leaf) -> BaseNode:
        ledger, acts = self.ledger, leaf.acts

        async def work(value: Any) -> Any:
            with ledger.execution(leaf.name, key_of(value)):
                act = acts[key_of(value) % len(acts)]
                if act.kind in ANSWERS:
                    return ANSWERS[act.kind](value)
                await perform(act, ledger)
            return value

        def work_without_waiting(value: Any) -> Any:
            with ledger.execution(leaf.name, key_of(value)):
                perform_without_waiting(acts[key_of(value) % len(acts)], ledger)
            return value

        if leaf.form == "sync":
            return FunctionNode(work_without_waiting, leaf.name)
        if leaf.form == "async":
            return FunctionNode(work, leaf.name)
        return OwnNode(leaf.name, work, ledger)

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
        kind = AdaptiveLimit if policy.kind == "adaptive" else ConcurrencyLimit
        return limit(self.limits.setdefault((policy.kind, number), kind(int(number))))

    def _stage(self, stage: Stage) -> BaseNode:
        made = self._inherited_stage(stage)
        return override_execute(made, stage.own, self._as_counted) if stage.own else made

    def _inherited_stage(self, stage: Stage) -> BaseNode:
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
                    key=_make_key(stage.keys),
                    **keys,
                )
            case "flat_map" | "expand":
                return self._many_stage(stage)
            case "filter":
                return FilterNode(None, self._judge(stage), max_concurrency=stage.limit, **keys)
            case "reduce":
                return ReduceNode(None, self._fold(stage), [], **keys)
            case "operator":
                made = [OPERATORS[name]() for name in stage.operators]
                return OperatorNode(*made, **keys)
        return FunctionNode(lambda data: data, "pass")

    def _many_stage(self, stage: Stage) -> BaseNode:
        assert stage.many is not None
        function = FunctionNode(make_many(stage.many, self.ledger), stage.many.name)
        if stage.isolate == "task":
            function.isolate = "task"
        child = function.pipe(*map(self._around, stage.around))
        # An item and an output of it that fail in two stages may have the same index.
        name, keys = stage.many.name, _make_key(stage.keys)
        options = (child, "items", "items", stage.limit, stage.continue_on_error)
        if stage.kind == "flat_map":
            return FlatMapNode(name, *options, key=keys)
        return ExpandNode(name, *options, key=keys, max_items=stage.most or None)

    def _around(self, around: Around) -> Callable[[BaseNode], BaseNode]:
        if around.other is not None:
            return fallback(FunctionNode(make_many(around.other, self.ledger), around.other.name))
        if around.kind == "each":
            return timeout(around.number, each=True)
        return self._policy(Policy(around.kind, Leaf("none"), around.number))

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


class _Seen(NamedTuple):
    """A value that has passed an override of ``execute``."""

    value: Any


def _make_key(keys: int) -> Callable[[Any], int] | None:
    return None if keys == 0 else lambda value: key_of(value) % keys


def _as_seen(result: NodeResult) -> NodeResult:
    return NodeResult(True, _Seen(result.output)) if result.success else result


def _is_async(stage: Stage) -> bool:
    return isinstance(stage.work, Leaf) and stage.work.form == "async"


def _any_output(outputs: Any) -> Any:
    return next(iter(outputs.values())) if isinstance(outputs, dict) else outputs
