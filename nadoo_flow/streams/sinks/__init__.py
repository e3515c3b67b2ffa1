"""Sinks: the items of a run as an async iterator, as a list, or as a plain Observable.

They build on the subscription, and know neither sources nor operators.
"""

from .async_iterator import CloseableAsyncIterator
from .drain import drain
from .observe import observe

__all__ = [
    "CloseableAsyncIterator",
    "drain",
    "observe",
]
