"""The policy ``in_thread``: call a function that blocks in threads."""

from __future__ import annotations

import inspect
from types import CoroutineType
from typing import Any

from .._support.checks import check_positive_int, describe_value
from ..nodes.context import WorkflowContext, unwrap_item
from ..nodes.execution import Bound, as_answer
from ..nodes.node import FunctionNode, NodeLike
from ..streams import Subscription, find_innermost_run
from .thread_pool import ThreadPool
from .wrapper import FunctionPolicy, NodePolicy, PolicyNode


def in_thread(max_workers: int | None = None) -> NodePolicy:
    """Call the function of a node in a thread, so that it may block.

    The threads belong to the run, and end with it. Each call has the context variables of its item.
    A call that has begun cannot be interrupted: an item that is cancelled ends at once, and only
    the end of the run waits for the call, for five seconds at most. It never keeps the program from
    exiting.

    Args:
        max_workers: Most threads of a run for the node. By default there is one for each item in
            work, and for each call that still blocks although its item was cancelled.

    Raises:
        TypeError: At the call, if an argument is of a wrong type.
        ValueError: At the call, if a number is out of its range.

    Example:
        >>> import time
        >>> node = FunctionNode(time.sleep).pipe(in_thread())
        >>> len(asyncio.run(BatchProcessor(node, max_concurrency=20).batch([0.01] * 20)).successful)
        20
    """
    if max_workers is not None:
        max_workers = check_positive_int(max_workers, "max_workers")
    text = f"in_thread({'' if max_workers is None else f'max_workers={max_workers}'})"
    return FunctionPolicy(lambda node: InThreadNode(node, max_workers), text)


class InThreadNode(PolicyNode):
    """A node whose function is called in threads.

    Raises:
        TypeError: If the node is not made of a function, or of an async one.
    """

    def __init__(self, node: NodeLike, max_workers: int | None) -> None:
        super().__init__(node)
        if type(self.node) is not FunctionNode:
            raise TypeError(
                f"in_thread() must be the first policy around a function, got {self.node!r}"
            )
        if inspect.iscoroutinefunction(self.node.fn) or self.node.yields:
            raise TypeError(
                "in_thread() is for functions that block and return something, "
                f"got {describe_value(self.node.fn)}"
            )
        self.max_workers = max_workers
        self._pools = _Pools()

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        assert isinstance(self.node, FunctionNode)
        fn = self.node.fn

        async def call_in_thread(value: Any) -> Any:
            pool, is_own = self._find_pool()
            try:
                answer = as_answer(await pool.call(fn, unwrap_item(value)))
            finally:
                if is_own:
                    await pool.stop()
            return await answer if type(answer) is CoroutineType else answer

        return Bound(call_in_thread, gives_output=True)

    def _find_pool(self) -> tuple[ThreadPool, bool]:
        """Return the threads of the run, or others that the caller is to end if there is none."""
        run = find_innermost_run()
        if run is None:
            return ThreadPool(self.max_workers), True
        return self._pools.get(run, self.max_workers), False


class _Pools:
    """The threads of each run; a copy, as for another process, has none."""

    def __init__(self) -> None:
        self._pools: dict[Subscription, ThreadPool] = {}

    def get(self, run: Subscription, max_workers: int | None) -> ThreadPool:
        """Return the threads of a run, which end with it."""
        pool = self._pools.get(run)
        if pool is None:
            pool = self._pools[run] = ThreadPool(max_workers)

            async def stop() -> None:
                del self._pools[run]
                await pool.stop()

            run.add_cleanup(stop)
        return pool

    def __reduce__(self) -> tuple[type[_Pools], tuple[()]]:
        return _Pools, ()
