"""The policy ``on``: execute a node in the workers of an executor."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from typing_extensions import override

from .._support.checks import check_positive_int, describe_value
from .._support.per_loop import PerLoop
from ..nodes.context import WorkflowContext
from ..nodes.execution import Bound
from ..nodes.node import BaseNode, NodeLike
from ..policies.wrapper import NodePolicy, PolicyNode
from .bundle import BundleSize
from .dask_client import ClientExecutor, is_client
from .dispatcher import Dispatcher
from .executor_handle import ExecutorHandle
from .session import Session
from .wire import import_cloudpickle

if TYPE_CHECKING:
    from distributed import Client


def on(
    executor: Executor | Callable[[], Executor] | Client,
    *,
    chunk: int | None = None,
    lanes: int = 8,
) -> On:
    """Execute a node in the workers of an executor: threads, processes, or other machines.

    Calls that wait at the same time travel together as a chunk. Inside the worker the calls of a
    chunk run concurrently on one event loop, which lasts as long as the worker's thread. Their
    results come back together.

    The node, its input and the WorkflowContext reach the worker as copies, pickled by cloudpickle;
    what the worker changes in them does not come back. Context variables do not go along. An input
    or output that cannot be pickled fails its own item only.

    A generator function in a ``FlatMapNode`` gives its outputs while it runs, in chunks. The worker
    makes one chunk more than the one that is being taken, and no further step before that is
    wanted. A generator lives in a thread of its own in the worker's process, from its first step
    to its last, and shares it at most with those that were opened together with it. While its
    outputs wait it holds no worker, so others may have that meanwhile, and more generators may be
    open than there are workers. One that is left is closed as soon as its step has ended. When the
    process dies, so do its generators, with a WorkerLost or an ExecutorLost. A process that has a
    ``max_tasks_per_child`` runs each generator to its end, and gives all outputs then. Anywhere but
    in a ``FlatMapNode`` the output of a generator function is the list of what it yields.

    Processes that are not forked import the script that starts them, so what a script does belongs
    below ``if __name__ == "__main__":``.

    Args:
        executor: An executor or a client of Dask's, which is never shut down; or a function that
            makes an executor. The function is called when a run begins to use it, and again when
            the executor breaks; its executor is shut down when the last run has ended.
        chunk: Most calls, or outputs of a generator, that travel together. By default an even share
            of the calls for each lane, but at least 1 and at most 50 ms of work, as measured in the
            workers; and as many outputs as make 50 ms of work, 4,096 at most, or a megabyte.
        lanes: Most chunks on the executor at a time: at least one for each worker, and a few more
            that wait there for the next free worker.

    Returns:
        A policy. All nodes that are given the same policy object share its lanes, and the executor
        that a function makes.

    Each item is executed at least once: one whose worker has died is tried again, on an executor
    that a function makes, and by Dask, unless it has given outputs. One with which workers die
    again and again fails alone, with a WorkerLost. If the executor itself is lost, its items fail
    with an ExecutorLost.

    An item that is cancelled before its chunk has started is not executed. One that has started
    cannot be interrupted: only the end of its run waits for it, and for five seconds at most.

    Raises:
        TypeError: If the executor is not one of these.
        ImportError: If cloudpickle is not installed.

    Example:
        >>> from concurrent.futures import ProcessPoolExecutor
        >>> def main():
        ...     node = FunctionNode(sum).pipe(on(ProcessPoolExecutor))
        ...     return asyncio.run(BatchProcessor(node).batch([[1, 2], [3, 4]])).outputs
        >>> main()  # below `if __name__ == "__main__":`
        [3, 7]
    """
    import_cloudpickle()
    lanes = check_positive_int(lanes, "lanes")
    if chunk is not None:
        chunk = check_positive_int(chunk, "chunk")
    if is_client(executor):
        return On(ClientExecutor(executor), None, chunk, lanes)
    if isinstance(executor, Executor):
        return On(executor, None, chunk, lanes)
    if callable(executor):
        return On(None, executor, chunk, lanes)
    raise TypeError(
        "executor must be an Executor, a Client of Dask's, or a function that makes an Executor, "
        f"got {describe_value(executor)}"
    )


class On(NodePolicy):
    """The policy that :func:`on` returns; all nodes that it wraps share its executor."""

    def __init__(
        self,
        executor: Executor | None,
        make: Callable[[], Executor] | None,
        chunk: int | None,
        lanes: int,
    ) -> None:
        self.chunk = chunk
        self.lanes = lanes
        self._executor = executor
        self._make = make
        self._sessions: PerLoop[Session] = PerLoop()

    @override
    def wrap(self, node: NodeLike) -> BaseNode:
        return OnNode(node, self)

    def get_session(self) -> Session:
        """Return the session of the running event loop."""
        return self._sessions.get(self._make_session)

    def _make_session(self) -> Session:
        handle = ExecutorHandle(self._executor, self._make)
        dispatcher = Dispatcher(handle, BundleSize(self.chunk, self.lanes), self.lanes)
        return Session(handle, dispatcher, self.chunk)

    def __repr__(self) -> str:
        executor = describe_value(self._executor or self._make)
        return f"on({executor}, chunk={self.chunk}, lanes={self.lanes})"


class OnNode(PolicyNode):
    """A node that is executed in the workers of an executor."""

    def __init__(self, node: NodeLike, on: On) -> None:
        super().__init__(node)
        self.on = on

    def _bind_directly(self, workflow_context: WorkflowContext) -> Bound:
        session = self.on.get_session()
        return Bound(
            lambda value: session.execute(self.node, value, workflow_context), gives_output=False
        )

    def _bind_many_directly(self, workflow_context: WorkflowContext) -> Bound:
        if not self.node.yields:
            return super()._bind_many_directly(workflow_context)
        session = self.on.get_session()
        return Bound(
            lambda many_input: session.pull(self.node, many_input, workflow_context),
            gives_output=False,
        )
