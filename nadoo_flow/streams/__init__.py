"""The bridge between asyncio and ReactiveX, which knows nothing of nodes.

A run is one subscription (``subscription``): it owns the demand, the tasks and the end of whatever
works in it. ``sources`` emit inputs within that demand, ``operators`` work on them (``flat_map`` is
the one concurrency engine), and ``sinks`` hand them to a consumer. All runs of an event loop share
the time of its turns (``turn``). Whoever writes an operator of their own begins here.

It may import ``errors`` and ``_support``.
"""

from .direct import Indexed
from .loop_thread import call_on_loop
from .operators import InOrder, Isolation, allow_one_subscription, flat_map, observe_on_loop
from .plan import MAX_WINDOW, Plan, compute_default_window
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
from .subscription import Subscription, find_outermost_run

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
    "allow_one_subscription",
    "as_source",
    "call_on_loop",
    "compute_default_window",
    "drain",
    "emit",
    "find_outermost_run",
    "flat_map",
    "observe",
    "observe_on_loop",
]
