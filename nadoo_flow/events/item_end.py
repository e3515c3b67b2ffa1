"""How the work on an item ends, where nothing more is to be said of it or it raised."""

from __future__ import annotations

from ..errors import NodeError, describe_error
from .instrument import ItemEnd

FINISHED = ItemEnd("finished")
"""The end of an item that has a result."""
DROPPED = ItemEnd("dropped")
"""The end of an item that a filter did not accept."""
CANCELLED = ItemEnd("cancelled")
"""The end of an item that was cancelled with its run."""


def describe_end(error: BaseException) -> ItemEnd:
    """Return how an item ended whose work raised an exception."""
    if isinstance(error, NodeError):
        return ItemEnd("failed", error.error, None, error.__cause__ or error)
    if isinstance(error, Exception):
        return ItemEnd("failed", describe_error(error), None, error)
    return CANCELLED
