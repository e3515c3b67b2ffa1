"""What a function takes and returns is known without a call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow._support.signatures import check_returns, check_takes


def one(item: Any) -> Any:
    return item


def two(item: Any, other: Any) -> Any:
    return item, other


def named(item: Any, *, other: Any) -> Any:
    return item, other


@functools.wraps(two)
def decorated(item: Any) -> Any:
    return two(item, 0)


class Callback:
    def __call__(self, item: Any) -> Any:
        return item

    @property
    def __signature__(self) -> Any:
        raise OSError("no signature")


@pytest.mark.parametrize(
    "function",
    [
        one,
        decorated,
        functools.partial(two, 0),
        functools.partial(named, other=0),
        lambda *items: items,
        lambda item, other=0: item,
        Callback(),
        int,
        print,
        "text".find,
        iter,
    ],
)
def test_what_can_be_called_with_one_argument_passes(function: Callable[..., Any]) -> None:
    check_takes(function, "fn", "the item")


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (two, "two(item, other)"),
        (named, "named(item, other)"),
        (lambda: 0, "<lambda>()"),
        (functools.partial(one, 0), "partial()"),
    ],
)
def test_what_needs_another_number_is_refused(function: Callable[..., Any], found: str) -> None:
    with pytest.raises(TypeError) as caught:
        check_takes(function, "fn", "the item")
    assert str(caught.value) == f"fn must take one argument, the item, got {found}"


def nothing(item: Any) -> None:
    item.append(1)


async def nothing_later(item: Any) -> None:
    if item:
        return
    await item


def only_raises(item: Any) -> Any:
    raise ValueError(item)


def either(item: Any) -> Any:
    return item or None


def sometimes(item: Any) -> Any:
    if item:
        return None
    return item


def constant(item: Any) -> Any:
    return 1


async def inside_a_block(item: Any) -> Any:
    async with item:
        return item


class Method:
    def nothing(self, item: Any) -> None:
        item.append(1)


@pytest.mark.parametrize("function", [nothing, nothing_later, Method().nothing])
def test_a_function_without_a_return_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError) as caught:
        check_returns(function, "fn", "the next value")
    assert str(caught.value) == (
        f"fn must return the next value, got {function.__name__}, which returns nothing; "
        "it may lack a return"
    )


@pytest.mark.parametrize(
    "function",
    [
        only_raises,
        either,
        sometimes,
        constant,
        inside_a_block,
        lambda item: None,
        print,
        Callback(),
    ],
)
def test_a_function_that_may_return_something_passes(function: Callable[..., Any]) -> None:
    check_returns(function, "fn", "the next value")
