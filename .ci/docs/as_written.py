"""Annotations as they stand in the source."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

from pdoc import doc_ast


class AsWritten:
    """An annotation that pdoc shows as it stands in the source, with the names of our types."""

    def __init__(self, text: str) -> None:
        self._text = text.strip("'\"")

    def __repr__(self) -> str:
        return self._text


def keep_annotations_as_written() -> None:
    """Keep pdoc from replacing the name of a type by all that it stands for.

    ``NodeLike`` says more than the union of eight types, and some names exist only for checkers.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "nadoo_flow":
            for annotated in find_annotated(module):
                # Those of attributes that only `__init__` names are known to pdoc by the source.
                in_source = doc_ast.walk_tree(annotated).annotations
                written = {**in_source, **annotated.__annotations__}
                annotated.__annotations__ = {
                    key: AsWritten(getattr(value, "__forward_arg__", value))
                    if isinstance(value, (str, typing.ForwardRef))
                    else value
                    for key, value in written.items()
                }


def find_annotated(owner: types.ModuleType | type) -> Iterator[Any]:
    """Find the functions and classes that a module or class defines, at any depth."""
    for value in list(vars(owner).values()):
        while inner := getattr(value, "__func__", None) or getattr(value, "fget", None):
            value = inner
        if isinstance(value, types.FunctionType):
            yield value
        elif isinstance(value, type) and value.__module__ == (
            owner.__module__ if isinstance(owner, type) else owner.__name__
        ):
            yield value
            yield from find_annotated(value)
