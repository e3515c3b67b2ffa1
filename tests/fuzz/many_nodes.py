"""Makes the functions that give many outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .acts import perform, perform_without_waiting
from .case import CLEAN_UP, ManyLeaf
from .ledger import Ledger
from .values import child_of, key_of, output_of

_variable: ContextVar[int] = ContextVar("fuzz_many", default=0)


def make_many(leaf: ManyLeaf, ledger: Ledger) -> Callable[[Any], Any]:
    """Make a function that keeps books of what it gives, and of how it is closed."""

    async def generate(value: Any) -> AsyncIterator[int]:
        *acts, at_end = leaf.acts_for(key_of(value))
        with ledger.execution(leaf.name, key_of(value)), _in_one_context(ledger):
            for number, act in enumerate(acts):
                await perform(act, ledger)
                try:
                    yield ledger.give(leaf.name, make_output(leaf, value, number))
                except GeneratorExit:
                    if leaf.cleans_slowly:
                        await _clean_up(leaf, ledger)
                    raise
            await perform(at_end, ledger)

    def generate_at_once(value: Any) -> Iterator[int]:
        *acts, at_end = leaf.acts_for(key_of(value))
        with ledger.execution(leaf.name, key_of(value)), _in_one_context(ledger):
            for number, act in enumerate(acts):
                perform_without_waiting(act, ledger)
                yield ledger.give(leaf.name, make_output(leaf, value, number))
            perform_without_waiting(at_end, ledger)

    async def list_outputs(value: Any) -> list[int]:
        with ledger.execution(leaf.name, key_of(value)):
            for act in leaf.acts_for(key_of(value)):
                await perform(act, ledger)
        return _list_outputs(leaf, value, ledger)

    def list_outputs_at_once(value: Any) -> list[int]:
        with ledger.execution(leaf.name, key_of(value)):
            for act in leaf.acts_for(key_of(value)):
                perform_without_waiting(act, ledger)
        return _list_outputs(leaf, value, ledger)

    forms: dict[str, Callable[[Any], Any]] = {
        "async_generator": generate,
        "generator": generate_at_once,
        "async_list": list_outputs,
        "list": list_outputs_at_once,
    }
    return forms[leaf.form]


def make_output(leaf: ManyLeaf, value: Any, number: int) -> int:
    """Make an output with a number, or an item of an expansion."""
    if leaf.expands:
        return child_of(value, number // 2 if leaf.repeats else number)
    return output_of(value, number)


def _list_outputs(leaf: ManyLeaf, value: Any, ledger: Ledger) -> list[int]:
    count = len(leaf.acts_for(key_of(value))) - 1
    return [ledger.give(leaf.name, make_output(leaf, value, number)) for number in range(count)]


@contextmanager
def _in_one_context(ledger: Ledger) -> Iterator[None]:
    """Find out where a generator is closed."""
    task, token = asyncio.current_task(), _variable.set(1)
    try:
        yield
    finally:
        if asyncio.current_task() is not task:
            ledger.find("a generator of outputs is closed in another task")
        try:
            _variable.reset(token)
        except ValueError:
            ledger.find("a generator of outputs is closed in another context")


async def _clean_up(leaf: ManyLeaf, ledger: Ledger) -> None:
    try:
        await asyncio.sleep(CLEAN_UP)
    except asyncio.CancelledError:
        # One that the function itself has left may arrive anywhere.
        if not ledger.several_cancels and "cancel_itself_and_return" not in repr(leaf):
            ledger.find("the clean-up of a generator of outputs was broken off")
        raise
