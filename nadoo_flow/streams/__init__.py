"""The bridge between asyncio and ReactiveX, which knows nothing of nodes.

A run is one subscription (``subscription``): it owns the demand, the tasks and the end of whatever
works in it. ``sources`` emit inputs within that demand, ``operators`` work on them (``flat_map`` is
the one concurrency engine), and ``sinks`` hand them to a consumer. All runs of an event loop share
the time of its turns (``turn``). Whoever writes an operator of their own begins here.

It may import ``errors`` and ``_support``.
"""

from .direct import Indexed
from .loop_thread import call_on_loop
from .operators import InOrder, Isolation, flat_map, on_loop, subscribed_once
from .sinks import CloseableAsyncIterator, drain, observe
from .sources import (
    BUFFER,
    Buffering,
    BufferOverflowError,
    OverflowStrategy,
    Source,
    as_source,
    emit,
)
from .subscription import MAX_WINDOW, Plan, Subscription, default_window, outermost_run

__all__ = [
    "BUFFER",
    "MAX_WINDOW",
    "BufferOverflowError",
    "Buffering",
    "CloseableAsyncIterator",
    "InOrder",
    "Indexed",
    "Isolation",
    "OverflowStrategy",
    "Plan",
    "Source",
    "Subscription",
    "as_source",
    "call_on_loop",
    "default_window",
    "drain",
    "emit",
    "flat_map",
    "observe",
    "on_loop",
    "outermost_run",
    "subscribed_once",
]
