"""Blocks of code as modules that a type checker reads."""

from __future__ import annotations

import ast

_HELPERS = "awaited", "entered", "each"
"""What stands for ``await``, ``async with`` and ``async for`` at the top level."""


def make_checkable(code: str, line: int = 0) -> str:
    """Return a block of code that may await at its top level, as a module that does not.

    The lines keep their numbers, so that an error is found on the page.
    """
    rows = code.splitlines()
    edits = sorted(_find_edits(ast.parse(code), code), reverse=True)
    for row, column, old, new in edits:
        text = rows[row - 1].encode()
        assert text[column:].startswith(old.encode()), (text, old)
        rows[row - 1] = (text[:column] + new.encode() + text[column + len(old) :]).decode()
    imports = f"from top_level import {', '.join(_HELPERS)}" if edits else ""
    return "\n".join([imports, *[""] * (line - 1), *rows]) + "\n"


def _find_edits(module: ast.Module, code: str) -> list[tuple[int, int, str, str]]:
    """Return what is replaced: line, column, the old text and the new."""
    edits: list[tuple[int, int, str, str]] = []

    def surround(part: ast.expr, helper: str) -> None:
        edits.append((part.lineno, part.col_offset, "", f"{helper}("))
        assert part.end_lineno is not None
        assert part.end_col_offset is not None
        edits.append((part.end_lineno, part.end_col_offset, "", ")"))

    def walk(part: ast.AST) -> None:
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if isinstance(part, ast.Await):
            edits.append((part.lineno, part.col_offset, "await ", ""))
            surround(part.value, "awaited")
        elif isinstance(part, (ast.AsyncFor, ast.AsyncWith)):
            edits.append((part.lineno, part.col_offset, "async ", ""))
            if isinstance(part, ast.AsyncFor):
                surround(part.iter, "each")
            else:
                for item in part.items:
                    surround(item.context_expr, "entered")
        elif isinstance(part, ast.comprehension) and part.is_async:
            before = "\n".join(code.splitlines()[: part.target.lineno])
            column = before.splitlines()[-1].rindex("async for", 0, part.target.col_offset)
            edits.append((part.target.lineno, column, "async ", ""))
            surround(part.iter, "each")
        for child in ast.iter_child_nodes(part):
            walk(child)

    walk(module)
    return edits


TOP_LEVEL = """
from collections.abc import AsyncIterable, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")


def awaited(value: Awaitable[T]) -> T: ...
def entered(value: AbstractAsyncContextManager[T, Any]) -> AbstractContextManager[T, None]: ...
def each(value: AsyncIterable[T]) -> Iterable[T]: ...
"""
"""The stub of the module that the modules of blocks import."""
