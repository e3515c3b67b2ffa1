"""Checks of what a function takes and returns, without calling it."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

from .checks import name_function


def check_takes(function: Callable[..., Any], parameter: str, *arguments: str) -> None:
    """Check that a function can be called with as many arguments as it will get.

    Args:
        function: Some callables do not say what they take; these pass.
        parameter: What to call the function in the error.
        arguments: What it will get, in words.

    Raises:
        TypeError: If it takes fewer arguments, or needs more.
    """
    try:
        # A decorator may take other arguments than the function inside.
        signature = inspect.signature(function, follow_wrapped=False)
    except Exception:
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        taken = "one argument" if len(arguments) == 1 else f"{len(arguments)} arguments"
        raise TypeError(
            f"{parameter} must take {taken}, {' and '.join(arguments)}, "
            f"got {name_function(function)}({', '.join(signature.parameters)})"
        ) from None


def accepts(function: Callable[..., Any], arguments: int) -> bool:
    """Return whether a function says that it can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except (TypeError, ValueError):
        return False
    return True


def check_returns(function: Callable[..., Any], parameter: str, returned: str) -> None:
    """Check that a function which is written in Python returns something somewhere.

    Args:
        function: The function.
        parameter: What to call it in the error.
        returned: What it is to return, in words.

    Raises:
        TypeError: If all its ways out return None.
    """
    code = getattr(function, "__code__", None)
    # A lambda cannot lack a `return`: what it returns is meant.
    if not isinstance(code, CodeType) or code.co_name == "<lambda>":
        return
    if _returns_only_none(code):
        raise TypeError(
            f"{parameter} must return {returned}, "
            f"got {name_function(function)}, which returns nothing; it may lack a return"
        )


def _returns_only_none(code: CodeType) -> bool:
    """Return whether a function has a way out, and none that returns anything but None."""
    found = False
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "RETURN_CONST":
            found = True
            if instruction.argval is not None:
                return False
        elif instruction.opname == "RETURN_VALUE":
            found = True
            # A jump brings another value to be returned, as `value or None` does.
            if instruction.is_jump_target or before is None or not _loads_none(before):
                return False
        before = instruction
    return found


def _loads_none(instruction: dis.Instruction) -> bool:
    return instruction.opname == "LOAD_CONST" and instruction.argval is None
