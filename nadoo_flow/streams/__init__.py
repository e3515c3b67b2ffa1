"""The bridge between asyncio and ReactiveX. It knows nothing of nodes."""

from .async_iterator import CloseableAsyncIterator
from .drain import drain
from .flat_map import Isolation, flat_map
from .in_order import InOrder
from .observe import observe
from .pump import Indexed
from .source import Source, as_source, emit
from .subscription import Plan, Subscription

__all__ = [
    "CloseableAsyncIterator",
    "InOrder",
    "Indexed",
    "Isolation",
    "Plan",
    "Source",
    "Subscription",
    "as_source",
    "drain",
    "emit",
    "flat_map",
    "observe",
]
