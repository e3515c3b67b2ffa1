"""The way of one input through a node that gives many outputs, as a stage wants them.

Elsewhere a node has one answer (:mod:`.execution`). Here it gives its outputs to an outlet, one by
one; the answer says how that ended. So a policy wraps both in the same way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing
from types import CoroutineType
from typing import Any, NamedTuple

from reactivex import Observable

from .._support.checks import describe_value
from ..streams import (
    Buffering,
    CloseableAsyncIterator,
    Indexed,
    Outlet,
    Outputs,
    OverflowStrategy,
    Plan,
    emit,
    map_directly,
)
from .context import NodeResult
from .execution import Bound, as_answer, check_answer


class ManyInput(NamedTuple):
    """The input of a node that gives its outputs one by one.

    Attributes:
        value: The input itself.
        outlet: Where the outputs go.
    """

    value: Any
    outlet: Outlet


def has_given_outputs(value: Any) -> bool:
    """Return whether outputs of an input have gone out, so that no other try may give them."""
    return isinstance(value, ManyInput) and value.outlet.outputs > 0


def bind_function_to_outlet(fn: Callable[[Any], Any]) -> Bound:
    """Bind a function, so that what it yields goes out one by one, as does what it returns."""

    def call_function(many_input: ManyInput) -> Any:
        answer = fn(many_input.value)
        # An Observable can be awaited too, for its last value.
        opened = answer if isinstance(answer, Observable) else as_answer(answer)
        return _give(opened, True, many_input.outlet)

    return Bound(call_function, gives_output=True)


def bind_answer_to_outlet(bound: Bound) -> Bound:
    """Bind a node, so that its output is taken for many."""
    call, gives_output = bound

    def call_node(many_input: ManyInput) -> Any:
        return _give(call(many_input.value), gives_output, many_input.outlet)

    return Bound(call_node, gives_output=True)


def _give(answer: Any, may_be_output: bool, outlet: Outlet) -> Any:
    if type(answer) is CoroutineType:
        return _await_and_give(answer, may_be_output, outlet)
    answer = check_answer(answer, may_be_output)
    if isinstance(answer, NodeResult):
        return _give_output(answer, outlet) if answer.success else answer
    return outlet.pull(iterate_outputs(answer))


async def _give_output(answer: NodeResult, outlet: Outlet) -> NodeResult:
    await outlet.pull(iterate_outputs(answer.output))
    return NodeResult(True, None, None, answer.metadata)


async def _await_and_give(answer: Any, may_be_output: bool, outlet: Outlet) -> Any:
    given = _give(await answer, may_be_output, outlet)
    return await given if type(given) is CoroutineType else given


def iterate_outputs(value: Any) -> Outputs[Any]:
    """Iterate over many outputs.

    Raises:
        TypeError: If they are not many.
    """
    if isinstance(value, (str, bytes, bytearray, Mapping)):
        return iter([value])
    if isinstance(value, Observable):
        return _iterate_observable(value)
    if isinstance(value, AsyncIterable):
        return aiter(value)
    if isinstance(value, Iterable):
        return iter(value)
    raise TypeError(
        "the child must give many outputs (an iterable, an async iterable or an Observable), "
        f"got {describe_value(value)}"
    )


def _iterate_observable(observable: Observable[Any]) -> Outputs[Any]:
    buffering = Buffering(overflow=OverflowStrategy.BUFFER)
    return CloseableAsyncIterator(
        Plan(lambda run: emit(run, observable, buffering).pipe(map_directly(_get_value)), 1)
    )


def _get_value(indexed: Indexed[Any]) -> Any:
    return indexed[1]


def collect_from(fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a function that returns a list of what a generator function yields."""

    async def collect(outputs: AsyncGenerator[Any, None]) -> list[Any]:
        async with aclosing(outputs):
            return [output async for output in outputs]

    def call(value: Any) -> Any:
        outputs = fn(value)
        return collect(outputs) if isinstance(outputs, AsyncGenerator) else list(outputs)

    return call
