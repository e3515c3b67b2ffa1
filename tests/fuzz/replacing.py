"""Puts something else into the place of parts of the engine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeAlias

Planting: TypeAlias = Callable[[], AbstractContextManager[None]]


@contextmanager
def replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Have an attribute of a class or module replaced inside the block."""
    before = vars(owner)[name]
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
