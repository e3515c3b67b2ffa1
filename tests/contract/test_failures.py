"""What a failure that is kept keeps alive with it."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    BatchProcessor,
    FunctionNode,
    MicroBatchNode,
    NodeContext,
    NodeResult,
    WorkflowContext,
)
from nadoo_flow.policies import (
    CircuitBreaker,
    ConcurrencyLimit,
    cache,
    circuit_breaker,
    fallback,
    in_thread,
    limit,
    rate_limit,
    retry,
    timeout,
)
from nadoo_flow.streams import Subscription, find_innermost_run

from ..stand_ins import slowly


async def fail(value: Any) -> Any:
    await asyncio.sleep(0.01)
    raise ValueError(value)


def fail_at_once(value: Any) -> Any:
    raise ValueError(value)


async def fail_behind_a_future(value: Any) -> Any:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[Any] = loop.create_future()
    loop.call_later(0.01, failed.set_exception, ValueError(value))
    return await failed


FAILING: dict[str, BaseNode] = {
    "function": FunctionNode(fail),
    "future": FunctionNode(fail_behind_a_future),
    "pipeline": FunctionNode(slowly) | FunctionNode(fail),
    "in_thread": FunctionNode(fail_at_once).pipe(in_thread()),
    "micro-batch": MicroBatchNode(fail),
    "timeout": FunctionNode(fail).pipe(timeout(5)),
    "expired timeout": FunctionNode(slowly).pipe(timeout(0.1)),
    "retry": FunctionNode(fail).pipe(retry(2, wait=0)),
    "limit": FunctionNode(fail).pipe(limit(ConcurrencyLimit(1))),
    "rate_limit": FunctionNode(fail).pipe(rate_limit(100)),
    "circuit_breaker": FunctionNode(fail).pipe(circuit_breaker(CircuitBreaker(9))),
    "fallback": FunctionNode(fail).pipe(fallback(fail)),
    "cache": FunctionNode(fail).pipe(cache()),
    "cache that was waited for": FunctionNode(fail).pipe(cache(key=lambda _: 1)),
}


class _Noting(BaseNode):
    """A node that notes the runs that it is executed in."""

    def __init__(self, node: BaseNode) -> None:
        super().__init__()
        self._node = node
        self.runs: list[weakref.ref[Subscription]] = []

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        run = find_innermost_run()
        assert run is not None
        self.runs.append(weakref.ref(run))
        del run
        return await self._node.execute(node_context, workflow_context)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="any frame keeps those of its callers")
@pytest.mark.asyncio(loop_factories=["real"])
@pytest.mark.parametrize("kind", FAILING)
async def test_rule_313_a_failure_that_is_kept_keeps_no_run_alive(kind: str) -> None:
    node = _Noting(FAILING[kind])
    results = await BatchProcessor(node, max_concurrency=2).batch([0.11, 0.12, 0.13])
    await asyncio.sleep(0.001)
    gc.collect()
    assert [result.success for result in results] == [False] * 3
    assert [run() for run in node.runs] == [None] * 3
