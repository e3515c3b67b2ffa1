"""Stand-in nodes, and small questions, that the tests of the node layer share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

from reactivex import Observable

from nadoo_flow import BaseNode, NodeContext, NodeResult, WorkflowContext

CLEAN_UP = 1.0
"""Seconds that the ``finally`` block of a Probe awaits."""


class Probe:
    """A function that works for as many seconds as its item says, and keeps a record.

    Its ``finally`` block awaits too, so a run that does not wait for it is found out.
    """

    def __init__(self) -> None:
        self.started: list[float] = []
        self.finished: list[float] = []
        self.cleaned: list[float] = []
        self.running = 0
        self.peak = 0

    async def __call__(self, seconds: float) -> float:
        self.started.append(seconds)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(seconds)
            self.finished.append(seconds)
        finally:
            await asyncio.sleep(CLEAN_UP)
            self.running -= 1
            self.cleaned.append(seconds)
        return seconds

    def assert_cleaned(self) -> None:
        """Every item that was started has run its ``finally`` block to the end."""
        assert self.started
        assert sorted(self.cleaned) == sorted(self.started)


class ScriptedNode(BaseNode):
    """A node whose ``execute`` is any function of the item, sync or async, right or wrong."""

    def __init__(self, script: Callable[[Any], Any], node_id: str = "scripted") -> None:
        super().__init__(node_id)
        self.script = script

    def execute(self, node_context: NodeContext, workflow_context: WorkflowContext) -> Any:
        return self.script(node_context.input_data["item"])


class Listener(BaseNode):
    """Remembers what it was given, and answers with its input."""

    def __init__(self, node_id: str = "listener") -> None:
        super().__init__(node_id)
        self.contexts: list[tuple[NodeContext, WorkflowContext]] = []

    async def execute(
        self, node_context: NodeContext, workflow_context: WorkflowContext
    ) -> NodeResult:
        self.contexts.append((node_context, workflow_context))
        return NodeResult(success=True, output=node_context.input_data)

    @property
    def inputs(self) -> list[Any]:
        return [node_context.input_data for node_context, _ in self.contexts]

    @property
    def shared(self) -> list[WorkflowContext]:
        return [workflow_context for _, workflow_context in self.contexts]


async def slowly(seconds: float) -> float:
    """Take as many seconds as the item says."""
    await asyncio.sleep(seconds)
    return seconds


def describe_failure(fail: Callable[[], object]) -> str:
    """Return the type and the words of what a call raises, as this Python puts them."""
    try:
        fail()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"{fail!r} did not fail")


DIVISION = describe_failure(lambda: 1 / 0)
FLOOR_DIVISION = describe_failure(lambda: 1 // 0)


def double(value: Any) -> Any:
    """Take no time."""
    return value * 2


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def assert_only_the_caller_runs() -> None:
    """No task is left but the one that asks."""
    assert asyncio.all_tasks() == {asyncio.current_task()}


def log_of_the_loop() -> Callable[[], list[dict[str, Any]]]:
    """Collect what the running loop would log, such as errors of tasks that nobody looked at."""
    logged: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))

    def log() -> list[dict[str, Any]]:
        # The errors of a task count as never looked at when it is garbage.
        gc.collect()
        return logged

    return log


async def answer(node: BaseNode, input_data: Any) -> NodeResult:
    """Execute a node on one input, in a run of its own."""
    return await node.execute(NodeContext(input_data=input_data), WorkflowContext())


async def observed(observable: Observable[Any], into: list[Any]) -> BaseException | None:
    """Subscribe, collect what comes until the end, and return the error of the end, if any."""
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    observable.subscribe(into.append, ended.set_result, lambda: ended.set_result(None))
    return await ended


async def raised_by(work: Awaitable[Any]) -> BaseException | None:
    """Await something and return what it raised, whatever that was."""
    try:
        await work
    except BaseException as error:
        return error
    return None
