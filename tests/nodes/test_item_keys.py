"""The keys of items: what a key function gets, and what becomes of one that fails."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any

import pytest

from nadoo_flow.nodes.item_keys import ItemKeys
from nadoo_flow.streams import Work, do_work

from ..stand_ins import raised_by

ROW = MappingProxyType({"item": 1, "more": 2})


class Same(Work[Any, Any]):
    def start(self, item: Any, started: float) -> Any:
        return item


async def fail(function: Callable[[Any], Any], value: Any) -> BaseException | None:
    """Return what the work on an item raises, and check that another item has no part in it."""
    keys = ItemKeys(function)
    work = keys.check_before(Same())
    item = (0, value)
    assert keys.get_key(item) != keys.get_key((1, value))
    error = await raised_by(do_work(work, item, 0.0))
    assert await do_work(work, (2, value), 0.0) == (2, value)
    return error


@pytest.mark.parametrize(
    ("value", "given"),
    [("text", "text"), (5, 5), ({"item": 5}, 5), ({"n": 5}, {"n": 5}), (ROW, ROW), ({}, {})],
)
def test_the_function_gets_what_a_function_as_a_node_would_get(value: Any, given: Any) -> None:
    seen: list[Any] = []
    assert ItemKeys(lambda item: (seen.append(item), "key")[1]).get_key((0, value)) == "key"
    assert seen == [given]


@pytest.mark.parametrize("key", ["a", 1, 1.5, None, True, b"a", ("a", 1), frozenset({1}), math.inf])
async def test_whatever_is_hashable_and_equal_to_itself_is_a_key(key: Any) -> None:
    keys = ItemKeys(lambda item: key)
    assert keys.get_key((0, "item")) == key
    keys.raise_failure((0, "item"))


async def later() -> str:
    return "key"


async def answer(value: Any) -> Any:
    return value


class Unhashable:
    def __hash__(self) -> int:
        raise ValueError("no hash")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda item: [1], "key must return a hashable value, got [1] (list) for 'a' (str)"),
        (lambda item: ([],), "key must return a hashable value, got ([],) (tuple) for 'a' (str)"),
        (
            lambda item: math.nan,
            "key must return a value that is equal to itself, got nan (float) for 'a' (str)",
        ),
    ],
)
async def test_rule_r43_what_is_no_key_is_a_type_error(
    function: Callable[[Any], Any], message: str
) -> None:
    error = await fail(function, "a")
    assert type(error) is TypeError
    assert str(error) == message


async def test_rule_r43_an_awaitable_is_no_key_and_a_coroutine_is_closed() -> None:
    def make(item: str) -> Awaitable[str]:
        made.append(later())
        return made[-1]

    made: list[Any] = []
    error = await fail(make, "a")
    assert str(error).startswith(
        "key must return the key itself and not an awaitable, got <coroutine object later at "
    )
    assert all(coroutine.cr_frame is None for coroutine in made)
    future = asyncio.get_running_loop().create_future()
    assert type(await fail(lambda item: future, "a")) is TypeError


@pytest.mark.parametrize(
    "raised", [ValueError("no"), asyncio.CancelledError("no"), GeneratorExit("no")]
)
async def test_rule_r43_an_exception_of_the_function_is_the_cause(raised: BaseException) -> None:
    def raise_it(item: Any) -> Any:
        raise raised

    error = await fail(raise_it, {"item": "a"})
    assert type(error) is RuntimeError
    assert str(error) == f"key raised {type(raised).__name__}: no for {{'item': 'a'}} (dict)"
    assert error.__cause__ is raised
    # Its traceback begins in the function, and keeps nothing of the run alive.
    assert raised.__traceback__ is not None
    assert raised.__traceback__.tb_frame.f_code is raise_it.__code__


async def test_rule_r43_a_hash_that_raises_fails_the_item() -> None:
    error = await fail(lambda item: Unhashable(), "a")
    assert str(error) == "key raised ValueError: no hash for 'a' (str)"


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_program_is_raised_as_it_is(raised: type[BaseException]) -> None:
    def raise_it(item: Any) -> Any:
        raise raised

    keys = ItemKeys(raise_it)
    item = (0, "a")
    keys.get_key(item)
    with pytest.raises(raised):
        keys.raise_failure(item)
    keys.raise_failure(item)
