"""Texts of users and of exceptions, made fit for exporters."""

from __future__ import annotations

import traceback

MOST_CHARACTERS = 4_000
"""Of a text: an exporter loses all that it sends together if one text makes that too large."""


def make_fit(text: str) -> str:
    """Return a text that is not too long, and that can be encoded."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS - 1]}…"
    # A lone surrogate cannot be encoded, and one is enough to lose all that is sent together.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def name_type(error: BaseException) -> str:
    """Return the full name of the type of an exception."""
    kind = type(error)
    name = kind.__qualname__
    return make_fit(name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}")


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an exception as Python prints it, of a long one the end."""
    try:
        lines = "".join(traceback.format_exception(error))
    except Exception:  # such as a raising __str__ in its chain
        lines = "".join(traceback.format_tb(error.__traceback__))
    return make_fit(lines[-MOST_CHARACTERS:])
