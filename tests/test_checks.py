"""Wrong arguments are named, with what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow.checks import (
    boolean,
    function,
    is_list_like,
    non_empty_str,
    positive_int,
    shown,
)


class _Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no repr")


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (positive_int, 1),
        (positive_int, 10**9),
        (boolean, True),
        (boolean, False),
        (function, len),
        (function, dict),
        (non_empty_str, "items"),
    ],
)
def test_a_right_value_comes_back_unchanged(check: Callable[..., Any], value: Any) -> None:
    assert check(value, "limit") is value


@pytest.mark.parametrize(
    ("check", "value", "error", "message"),
    [
        (positive_int, 0, ValueError, "limit must be at least 1, got 0"),
        (positive_int, -1, ValueError, "limit must be at least 1, got -1"),
        (positive_int, math.nan, ValueError, "limit must be a positive int, got nan"),
        (positive_int, True, TypeError, "limit must be a positive int, got True (bool)"),
        (positive_int, 2.5, TypeError, "limit must be a positive int, got 2.5 (float)"),
        (positive_int, 2.0, TypeError, "limit must be a positive int, got 2.0 (float)"),
        (positive_int, math.inf, TypeError, "limit must be a positive int, got inf (float)"),
        (positive_int, "5", TypeError, "limit must be a positive int, got '5' (str)"),
        (positive_int, None, TypeError, "limit must be a positive int, got None (NoneType)"),
        (boolean, 1, TypeError, "limit must be True or False, got 1 (int)"),
        (boolean, "no", TypeError, "limit must be True or False, got 'no' (str)"),
        (boolean, None, TypeError, "limit must be True or False, got None (NoneType)"),
        (function, None, TypeError, "limit must be a function, got None (NoneType)"),
        (function, "len", TypeError, "limit must be a function, got 'len' (str)"),
        (non_empty_str, "", ValueError, "limit must not be empty"),
        (non_empty_str, b"x", TypeError, "limit must be a str, got b'x' (bytes)"),
        (non_empty_str, None, TypeError, "limit must be a str, got None (NoneType)"),
    ],
)
def test_a_wrong_value_is_named(
    check: Callable[..., Any], value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        check(value, "limit")
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [[], (), {1}, range(3), iter([1]), (x for x in "ab"), {}.keys()])
def test_many_items_are_list_like(value: object) -> None:
    assert is_list_like(value)


@pytest.mark.parametrize("value", ["text", b"text", bytearray(b"text"), {"a": 1}, 5, None, len])
def test_texts_mappings_and_single_values_are_not_list_like(value: object) -> None:
    assert not is_list_like(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1], "[1] (list)"),
        ("x" * 58, f"'{'x' * 58}' (str)"),
        ("x" * 59, f"'{'x' * 56}... (str)"),
        (_Unprintable(), "<unprintable> (_Unprintable)"),
    ],
    ids=["short", "just fits", "shortened", "raising repr"],
)
def test_a_shown_value_has_its_type_and_at_most_sixty_characters(value: object, text: str) -> None:
    assert shown(value) == text
