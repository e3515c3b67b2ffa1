"""Functions that do as little as possible, to pass where a function is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def do_nothing(*_: object) -> None:
    """Do nothing, whatever the arguments."""


def call(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in the current context, where one may be called in another context."""
    return function(*arguments)
