"""The bridge between asyncio and ReactiveX. It knows nothing of nodes."""

from .async_iterator import CloseableAsyncIterator
from .drain import drain
from .flat_map import Isolation, flat_map
from .hot_source import BUFFER, Buffering, BufferOverflowError, OverflowStrategy
from .in_order import InOrder
from .loop_thread import call_on_loop
from .observe import observe
from .on_loop import on_loop
from .pump import Indexed
from .source import Source, as_source, emit
from .subscribed_once import subscribed_once
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
