"""One execution of a node becomes one NodeResult, whatever the node does."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from typing import Any

import pytest

from nadoo_flow import NodeContext, NodeResult, WorkflowContext
from nadoo_flow.errors import NO_MESSAGE
from nadoo_flow.nodes.execution import answer_safely, make_failure

from ..stand_ins import Listener, ScriptedNode, raised_by


async def _execute(script: Any) -> NodeResult:
    return await answer_safely(ScriptedNode(script)._bind(WorkflowContext()), 1)


async def test_a_success_comes_back_as_the_very_object() -> None:
    result = NodeResult(success=True, output={"a": 1}, metadata={"model": "m"})

    async def script(_: Any) -> NodeResult:
        return result

    assert await _execute(script) is result
    assert result == NodeResult(success=True, output={"a": 1}, metadata={"model": "m"})


async def test_the_node_gets_both_contexts() -> None:
    listener, workflow_context = Listener(), WorkflowContext()
    await answer_safely(listener._bind(workflow_context), 1)
    assert listener.contexts[0][0] == NodeContext({"item": 1})
    assert listener.contexts[0][1] is workflow_context


async def test_any_awaitable_is_as_good_as_a_coroutine() -> None:
    result = NodeResult(success=True)
    future = asyncio.get_running_loop().create_future()
    future.set_result(result)
    assert await _execute(lambda _: future) is result


async def test_an_exception_becomes_a_failure_that_holds_it_with_its_traceback() -> None:
    error = ValueError("msg")

    async def script(_: Any) -> NodeResult:
        raise error

    result = await _execute(script)
    assert result == NodeResult(success=False, error="ValueError: msg")
    assert result.exception is error
    assert traceback.extract_tb(error.__traceback__)[-1].name == "script"


@pytest.mark.parametrize("error", [None, ""])
async def test_a_failure_without_a_message_gets_the_default_text(error: str | None) -> None:
    async def script(_: Any) -> NodeResult:
        return NodeResult(success=False, error=error, metadata={"tries": 3})

    result = await _execute(script)
    assert result == NodeResult(success=False, error=NO_MESSAGE, metadata={"tries": 3})


async def test_a_failure_with_a_message_keeps_it() -> None:
    async def script(_: Any) -> NodeResult:
        return NodeResult(success=False, error="no luck")

    assert (await _execute(script)).error == "no luck"


async def test_a_success_keeps_an_error_text_that_the_node_left_in_it() -> None:
    async def script(_: Any) -> NodeResult:
        return NodeResult(success=True, error="only a warning")

    assert (await _execute(script)).error == "only a warning"


@pytest.mark.parametrize(
    ("returned", "kind"), [(None, "NoneType"), ({"a": 1}, "dict"), (True, "bool"), ((), "tuple")]
)
async def test_a_wrong_answer_is_a_failure_that_says_what_was_expected(
    returned: Any, kind: str
) -> None:
    async def script(_: Any) -> Any:
        return returned

    result = await _execute(script)
    assert result.error == f"TypeError: expected NodeResult, got {kind}"
    assert isinstance(result.exception, TypeError)


async def test_a_returned_coroutine_is_a_failure_and_is_closed() -> None:
    inner = asyncio.sleep(1)

    async def script(_: Any) -> Any:
        return inner

    assert (await _execute(script)).error == "TypeError: expected NodeResult, got coroutine"
    assert inspect.getcoroutinestate(inner) == inspect.CORO_CLOSED


async def test_an_execute_that_is_not_async_is_told_so() -> None:
    not_async = "execute must be defined with async def"
    assert (await _execute(lambda _: {"a": 1})).error == (
        f"TypeError: expected NodeResult, got dict; {not_async}"
    )
    assert (await _execute(lambda _: NodeResult(success=True))).error == (
        f"TypeError: {not_async}; it returned a plain NodeResult"
    )


async def test_a_stray_cancelled_error_is_a_failure() -> None:
    async def script(_: Any) -> NodeResult:
        raise asyncio.CancelledError("stray")

    result = await _execute(script)
    assert result.error == "CancelledError: stray"
    assert isinstance(result.exception, asyncio.CancelledError)


async def test_a_cancellation_of_the_running_task_passes() -> None:
    async def script(_: Any) -> NodeResult:
        await asyncio.sleep(10)
        return NodeResult(success=True)

    task = asyncio.create_task(_execute(script))
    await asyncio.sleep(1)
    task.cancel()
    assert isinstance(await raised_by(task), asyncio.CancelledError)
    assert task.cancelled()


@pytest.mark.parametrize("fatal", [KeyboardInterrupt("stop"), SystemExit(3), GeneratorExit()])
async def test_what_is_no_exception_passes(fatal: BaseException) -> None:
    async def script(_: Any) -> NodeResult:
        raise fatal

    assert await raised_by(_execute(script)) is fatal


def test_failure_makes_a_failed_result_of_an_exception() -> None:
    error = LookupError("gone")
    result = make_failure(error)
    assert result == NodeResult(success=False, error="LookupError: gone")
    assert result.exception is error
