"""What pdoc does not find by itself, because it is not in the module that offers it."""

from __future__ import annotations

import sys
import types
from collections.abc import Collection
from typing import Any

from pdoc import doc_ast
from rooms import ROOMS, list_names


def adopt_members_of_inner_bases(described: Collection[str]) -> None:
    """Have a class described with all that it inherits from those that are not described."""
    for room in ROOMS[1:]:
        for name in list_names(room):
            offered = getattr(sys.modules[room], name)
            for base in offered.__mro__[1:] if isinstance(offered, type) else ():
                others = [
                    each
                    for each in offered.__mro__[1:]
                    if each.__name__ in described and issubclass(each, base)
                ]
                if base.__module__.startswith("nadoo_flow") and not others:
                    adopt_members(offered, base)


def adopt_members(offered: Any, base: type) -> None:
    """Make what a base has part of a class itself."""
    for name, value in vars(base).items():
        is_shown = name == "__init__" or not name.startswith("_")
        is_method = isinstance(value, types.FunctionType | property)
        if is_shown and is_method and getattr(offered, name) is getattr(base, name):
            setattr(offered, name, value)
    if "__orig_bases__" in vars(offered):
        # Where pdoc looks before it looks into the class.
        offered.__orig_bases__ = tuple(each for each in offered.__orig_bases__ if each is not base)


def describe_constants() -> None:
    """Give each constant that a room offers the words that follow it in its own module."""
    for room in ROOMS[1:]:
        described = doc_ast.walk_tree(sys.modules[room]).var_docstrings
        for module in [sys.modules[name] for name in sys.modules if name.startswith(f"{room}.")]:
            for name, text in doc_ast.walk_tree(module).var_docstrings.items():
                if name in list_names(room):
                    described.setdefault(name, text)
