"""Puts something else into the place of parts of the engine."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import FunctionType
from typing import Any, TypeAlias

Planting: TypeAlias = Callable[[], AbstractContextManager[None]]


@contextmanager
def replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Have an attribute of a class or module replaced inside the block.

    Raises:
        TypeError: If a function cannot be called as the one that it replaces.
    """
    before = vars(owner)[name]
    if isinstance(before, FunctionType) and callable(value):
        _check_parameters(before, value)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def replaced_everywhere(function: Callable[..., Any], value: Callable[..., Any]) -> Iterator[None]:
    """Have a function replaced inside the block in every module that imported it."""
    with ExitStack() as stack:
        for module in [*sys.modules.values()]:
            name = getattr(module, "__name__", "")
            if name.startswith("nadoo_flow") and vars(module).get(function.__name__) is function:
                stack.enter_context(replaced(module, function.__name__, value))
        yield


def _check_parameters(before: FunctionType, value: Callable[..., Any]) -> None:
    # Otherwise its TypeError would be found in the place of the bug.
    positional, named = [], []
    for parameter in inspect.signature(before).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named.append(parameter.name)
        elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            positional.append(parameter.name)
    inspect.signature(value).bind(*positional, **dict.fromkeys(named))
