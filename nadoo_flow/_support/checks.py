"""Checks of arguments, made at the call that passes them, with errors that name the parameter."""

from __future__ import annotations

import functools
import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from numbers import Complex, Integral, Number, Real
from typing import Any, SupportsIndex, TypeGuard


def check_positive_int(value: object, parameter: str) -> int:
    """Return a positive int of any kind, such as one of numpy's, as an int.

    Raises:
        TypeError: If it is not an int; a bool, a fraction and a str are not.
        ValueError: If it is below 1, or nan.
    """
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"{parameter} must be a positive int, got nan")
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        hint = _hint_at_policy(value)
        raise TypeError(f"{parameter} must be a positive int, got {describe_value(value)}{hint}")
    try:
        number = operator.index(value)
    except TypeError as error:  # an array of numpy's can do it only if it holds one int
        raise TypeError(
            f"{parameter} must be a positive int, got {describe_value(value)}"
        ) from error
    if number < 1:
        raise ValueError(f"{parameter} must be at least 1, got {number}")
    return number


def check_positive_number(value: object, parameter: str) -> float:
    """Return a positive, finite number of any kind as an int or a float.

    Raises:
        TypeError: If it is not a real number; a bool and a str are not.
        ValueError: If it is not above 0, infinite, or nan.
    """
    number = _check_number(value, parameter)
    if number <= 0:
        raise ValueError(f"{parameter} must be above 0, got {value}")
    return number


def check_non_negative_number(value: object, parameter: str) -> float:
    """Return a finite number of at least 0 of any kind as an int or a float.

    Raises:
        TypeError: If it is not a real number; a bool and a str are not.
        ValueError: If it is negative, infinite, or nan.
    """
    number = _check_number(value, parameter)
    if number < 0:
        raise ValueError(f"{parameter} must not be negative, got {value}")
    return number


def _check_number(value: Any, parameter: str) -> float:
    # A Decimal is a Number but no Real.
    complex_only = isinstance(value, Complex) and not isinstance(value, Real)
    is_number = isinstance(value, Number) and not isinstance(value, bool) and not complex_only
    if not is_number:
        raise TypeError(
            f"{parameter} must be a number, got {describe_value(value)}{_hint_at_policy(value)}"
        )
    try:
        number = operator.index(value) if isinstance(value, Integral) else float(value)
        finite = math.isfinite(number)
    except (OverflowError, ValueError):  # an int too large for a float, a signaling NaN
        finite = False
    if not finite:
        raise ValueError(f"{parameter} must be a finite number, got {describe_value(value)}")
    return number


def check_bool(value: object, parameter: str) -> bool:
    """Return a bool unchanged.

    Raises:
        TypeError: If it is anything else, also if it is truthy.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{parameter} must be True or False, got {describe_value(value)}")
    return value


def check_callable(value: object, parameter: str) -> Callable[..., Any]:
    """Return a callable unchanged.

    Raises:
        TypeError: If it cannot be called.
    """
    if not callable(value):
        raise TypeError(
            f"{parameter} must be a function, got {describe_value(value)}{hint_at_call(value)}"
        )
    return value


def check_function(value: object, parameter: str) -> Callable[..., Any]:
    """Return a callable unchanged.

    Raises:
        TypeError: If it cannot be called, or yields instead of returning something.
    """
    value = check_callable(value, parameter)
    if is_generator_function(value):
        raise TypeError(
            f"{parameter} must be a function that returns something, "
            f"got {describe_value(value)}, which "
            "yields; let it return a list of what it yields"
        )
    return value


def check_sync_function(value: object, parameter: str) -> Callable[..., Any]:
    """Return a callable unchanged.

    Raises:
        TypeError: If it cannot be called, yields, or what it returns has to be awaited.
    """
    function = check_function(value, parameter)
    if inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{parameter} must be a function that is not async, got {describe_value(value)}"
        )
    return function


def check_key(value: object, parameter: str) -> Callable[[Any], Any] | None:
    """Return the function that finds the key of an item, or None, unchanged.

    Raises:
        TypeError: If it is neither, or a function that yields or is async.
    """
    return None if value is None else check_sync_function(value, parameter)


def is_generator_function(value: Callable[..., Any]) -> bool:
    """Return whether a callable is a sync or async generator function, also inside a partial."""
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
    """Return a hint for an error message where a coroutine was passed, and close the coroutine."""
    if not inspect.iscoroutine(value):
        return ""
    value.close()
    return "; pass the function itself, without calling it"


def _hint_at_policy(value: object) -> str:
    """Return a hint for an error message where a function took the place of a number."""
    if not inspect.isfunction(value):
        return ""
    return "; a policy is called with its settings first: retry(3)(function)"


def check_non_empty_str(value: object, parameter: str) -> str:
    """Return a non-empty str unchanged.

    Raises:
        TypeError: If it is not a str.
        ValueError: If it is empty.
    """
    if not isinstance(value, str):
        raise TypeError(f"{parameter} must be a str, got {describe_value(value)}")
    if not value:
        raise ValueError(f"{parameter} must not be empty")
    return value


def is_list_like(value: object) -> TypeGuard[Iterable[Any]]:
    """Return whether a value is a collection of items: iterable, but not text and not a mapping."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping))


def name_function(function: object) -> str:
    """Return the name of a function, or else that of its type."""
    return getattr(function, "__name__", type(function).__name__)


def describe_value(value: object) -> str:
    """Describe a value and its type for an error message, cut to 60 characters."""
    try:
        text = repr(value)
    except Exception:  # a raising __repr__ must not hide the error that is being reported
        text = "<unprintable>"
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"
