"""Checks of arguments: a wrong value is named at the call that brings it in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard


def positive_int(value: object, parameter: str) -> int:
    """Return a positive int unchanged.

    Raises:
        TypeError: If it is no int (a bool, a fraction or a str is none).
        ValueError: If it is below 1, or nan.
    """
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{parameter} must be a positive int, got nan")
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{parameter} must be a positive int, got {shown(value)}")
    if value < 1:
        raise ValueError(f"{parameter} must be at least 1, got {value}")
    return value


def positive_number(value: object, parameter: str) -> float:
    """Return a positive, finite number unchanged.

    Raises:
        TypeError: If it is no number (a bool or a str is none).
        ValueError: If it is not above 0, infinite, or nan.
    """
    number = _number(value, parameter)
    if number <= 0:
        raise ValueError(f"{parameter} must be above 0, got {value}")
    return number


def non_negative_number(value: object, parameter: str) -> float:
    """Return a finite number of at least 0 unchanged; errors as in :func:`positive_number`."""
    number = _number(value, parameter)
    if number < 0:
        raise ValueError(f"{parameter} must not be negative, got {value}")
    return number


def _number(value: object, parameter: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{parameter} must be a number, got {shown(value)}")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an int too large for a float
        finite = False
    if not finite:
        raise ValueError(f"{parameter} must be a finite number, got {shown(value)}")
    return value


def boolean(value: object, parameter: str) -> bool:
    """Return a bool unchanged.

    Raises:
        TypeError: If it is anything else, however true.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{parameter} must be True or False, got {shown(value)}")
    return value


def function(value: object, parameter: str) -> Callable[..., Any]:
    """Return a callable unchanged.

    Raises:
        TypeError: If it cannot be called.
    """
    if not callable(value):
        raise TypeError(f"{parameter} must be a function, got {shown(value)}")
    return value


def non_empty_str(value: object, parameter: str) -> str:
    """Return a non-empty str unchanged.

    Raises:
        TypeError: If it is no str.
        ValueError: If it is empty.
    """
    if not isinstance(value, str):
        raise TypeError(f"{parameter} must be a str, got {shown(value)}")
    if not value:
        raise ValueError(f"{parameter} must not be empty")
    return value


def is_list_like(value: object) -> TypeGuard[Iterable[Any]]:
    """Tell whether a value is many items: an iterable that is no text and no mapping."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping))


def shown(value: object) -> str:
    """Name a value and its type in an error message, shortened."""
    try:
        text = repr(value)
    except Exception:  # a raising __repr__ must not hide the error that is being told
        text = "<unprintable>"
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"
