"""Checks of arguments: a wrong value is named at the call that brings it in."""

from __future__ import annotations

import functools
import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from numbers import Complex, Integral, Number, Real
from typing import Any, SupportsIndex, TypeGuard


def positive_int(value: object, parameter: str) -> int:
    """Return whatever counts as a positive int, such as one of numpy's, as an int.

    Raises:
        TypeError: If it is no int (a bool, a fraction or a str is none).
        ValueError: If it is below 1, or nan.
    """
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{parameter} must be a positive int, got nan")
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{parameter} must be a positive int, got {shown(value)}")
    try:
        number = operator.index(value)
    except TypeError as error:  # an array of numpy's can do it only if it holds one int
        raise TypeError(f"{parameter} must be a positive int, got {shown(value)}") from error
    if number < 1:
        raise ValueError(f"{parameter} must be at least 1, got {number}")
    return number


def positive_number(value: object, parameter: str) -> float:
    """Return a positive, finite number of any kind as an int or a float.

    Raises:
        TypeError: If it is no real number (a bool or a str is none).
        ValueError: If it is not above 0, infinite, or nan.
    """
    number = _number(value, parameter)
    if number <= 0:
        raise ValueError(f"{parameter} must be above 0, got {value}")
    return number


def non_negative_number(value: object, parameter: str) -> float:
    """Return a finite number of at least 0 likewise; errors as in :func:`positive_number`."""
    number = _number(value, parameter)
    if number < 0:
        raise ValueError(f"{parameter} must not be negative, got {value}")
    return number


def _number(value: Any, parameter: str) -> float:
    # A Decimal is a Number but no Real.
    complex_only = isinstance(value, Complex) and not isinstance(value, Real)
    is_number = isinstance(value, Number) and not isinstance(value, bool) and not complex_only
    if not is_number:
        raise TypeError(f"{parameter} must be a number, got {shown(value)}")
    try:
        number = operator.index(value) if isinstance(value, Integral) else float(value)
        finite = math.isfinite(number)
    except (OverflowError, ValueError):  # an int too large for a float, a signaling NaN
        finite = False
    if not finite:
        raise ValueError(f"{parameter} must be a finite number, got {shown(value)}")
    return number


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
        TypeError: If it cannot be called, or yields instead of returning something.
    """
    if not callable(value):
        raise TypeError(f"{parameter} must be a function, got {shown(value)}{hint_at_call(value)}")
    if yields(value):
        raise TypeError(
            f"{parameter} must be a function that returns something, got {shown(value)}, which "
            "yields; let it return a list of what it yields"
        )
    return value


def yields(value: Callable[..., Any]) -> bool:
    """Tell whether a callable is a generator function, of either kind, however it is wrapped."""
    while isinstance(value, functools.partial):
        value = value.func
    if not inspect.isroutine(value) and not isinstance(value, type):
        value = type(value).__call__
    if inspect.isasyncgenfunction(value):
        return True
    # What types.coroutine() made of a generator function is awaited.
    code = getattr(value, "__code__", None)
    awaited = code is not None and code.co_flags & inspect.CO_ITERABLE_COROUTINE
    return inspect.isgeneratorfunction(value) and not awaited


def hint_at_call(value: object) -> str:
    """Say what to pass instead of the coroutine that a call has made, which is closed."""
    if not inspect.iscoroutine(value):
        return ""
    value.close()
    return "; pass the function itself, without calling it"


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
