"""What is put together from parts of which one can never work, which has to be refused at once."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    ConcurrencyLimit,
    FilterNode,
    FunctionNode,
    MapNode,
    NodeContext,
    NodeResult,
    ParallelNode,
    Pipeline,
    ReduceNode,
    WorkflowContext,
)
from nadoo_flow.policies import (
    CircuitBreaker,
    cache,
    circuit_breaker,
    fallback,
    hedge,
    in_thread,
    limit,
    rate_limit,
    retry,
    timeout,
)

from .case import Batch, Case
from .ledger import Ledger
from .nodes import Builder


def _generator(value: Any) -> Iterator[Any]:
    yield value


async def _async_generator(value: Any) -> AsyncIterator[Any]:
    yield value


async def _coroutine(value: Any, item: Any = None) -> Any:
    return value


class _Generating:
    def __call__(self, value: Any) -> Iterator[Any]:
        yield value


class _GeneratingNode(BaseNode):
    async def execute(  # type: ignore[override]  # that is the mistake
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> AsyncIterator[NodeResult]:
        yield NodeResult(True)


_NEITHER: dict[str, Callable[[], Any]] = {
    "coroutine": lambda: _coroutine(1),
    "nothing": lambda: None,
}

FUNCTIONS: dict[str, Callable[[], Any]] = {
    **_NEITHER,
    "generator": lambda: _generator,
    "async_generator": lambda: _async_generator,
    "part_of_a_generator": lambda: partial(_async_generator, 1),
    "object_that_generates": _Generating,
    "method_that_generates": lambda: _Generating().__call__,
}
"""What is no function that returns something, by its name."""

NODES: dict[str, Callable[[], Any]] = {
    **_NEITHER,
    "node_that_generates": _GeneratingNode,
    "class": lambda: FunctionNode,
    "retry": lambda: retry(2),
    "timeout": lambda: timeout(1.0),
    "rate_limit": lambda: rate_limit(1.0),
    "limit": lambda: limit(ConcurrencyLimit(1)),
    "fallback": lambda: fallback(_coroutine),
    "hedge": lambda: hedge(1.0),
    "circuit_breaker": lambda: circuit_breaker(CircuitBreaker()),
    "cache": cache,
    "in_thread": in_thread,
}
"""What is no node, by its name."""

STAGES: dict[str, Callable[[], Any]] = {
    "stage_of_another_key": lambda: MapNode(None, _coroutine, "elsewhere", "elsewhere"),
}
"""What cannot stand beside a list stage, by its name."""

BESIDE: dict[str, Callable[[BaseNode, Any], Any]] = {
    "behind": lambda node, part: node | part,
    "in_front": lambda node, part: part | node,
    "pipeline": lambda node, part: Pipeline(node, part),
    "pipeline_in_front": lambda node, part: Pipeline(part, node),
}
"""Places beside a node."""

PLACES: dict[str, Callable[[BaseNode, Any], Any]] = {
    **BESIDE,
    "batch": lambda node, part: BatchProcessor(part),
    "parallel": lambda node, part: ParallelNode([node, part]),
    "map": lambda node, part: MapNode(None, part),
    "policy": lambda node, part: retry(2)(part),
    "fallback": lambda node, part: node.pipe(fallback(part)),
}
"""Places of nodes."""

FUNCTION_PLACES: dict[str, Callable[[BaseNode, Any], Any]] = {
    "filter": lambda node, part: FilterNode(None, part),
    "reduce": lambda node, part: ReduceNode(None, part),
}
"""Places of functions."""


def findings_in_composing(case: Case) -> list[str]:
    """Put a part that can never work beside the node of a case, which must raise."""
    assert case.mistake is not None
    part, place = case.mistake
    ledger = Ledger()
    builder, what = Builder(ledger), case.what
    node = builder.node(what.work) if isinstance(what, Batch) else builder.stages(what)
    make: Callable[[], Any] = {
        **FUNCTIONS,
        **NODES,
        **STAGES,
        "function": lambda: _coroutine,
    }[part]
    compose = {**PLACES, **FUNCTION_PLACES}[place]
    expected = ValueError if part in STAGES else TypeError
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            compose(node, make())
        except expected as error:
            if part == "function":
                ledger.find(f"a function is refused: {error}")
        except Exception as error:
            ledger.find(f"{part} in the place {place} is refused by {error!r}")
        else:
            if part != "function":
                ledger.find(f"{part} in the place {place} is not refused")
    for warning in warned:
        ledger.find(f"warned: {warning.message}")
    return ledger.findings
