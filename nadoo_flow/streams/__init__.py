"""The bridge between asyncio and ReactiveX, which knows nothing of nodes.

One item on its way:

1. A sink opens a :class:`Plan`, which makes a run, the :class:`Subscription`, and subscribes to the
   operators of the run. Nothing is emitted before that has returned.
2. The source (``sources``) has demand while fewer than ``window`` items are outstanding. It pulls
   an input, counts it as outstanding, and emits it with its index to the first operator.
3. ``flat_map`` queues the item. A free lane, one of ``max_concurrent`` tasks, takes it from the
   queue (``operators.lanes``) and does the :class:`Work` on it, in a context of the item's own:
   ``start`` returns the answer, or a coroutine that the lane drives to the answer; ``finish`` makes
   the result of it, or ``fail`` of what was raised; the lane emits the result. In a batch ``start``
   calls the node that was bound for the run, which for a function is the call of the function
   itself (``nodes.execution``), and the result is a BatchResult (``batch.item``).
   Where items have keys, one whose key is at work is queued when that work has ended
   (``operators.key_order``).
   ``flat_map`` is the only operator that works concurrently. The others restore the order, move
   signals to the loop's thread, or refuse a second subscription (``operators``).
4. The sink (``sinks``) hands the result to the consumer and releases the item, which is settled by
   that. An operator that drops an item or folds it into another releases it instead. When few
   enough are outstanding, the source is asked for more.
5. When the source has ended and the last lane is free, the end follows the items. The run ends its
   lanes, closes its sources, awaits its clean-ups (``run_tasks``), and only then signals the end.

All runs of an event loop share the time of its turns (``turn``).

It may import ``errors`` and ``_support``.
"""

from .direct import CallingObserver, Direct, Indexed
from .loop_thread import call_on_loop
from .many_work import AroundOutputs, Hold, ManyWork, Outlet, Outputs, are_async, close_outputs
from .operators import (
    InOrder,
    Isolation,
    Keys,
    allow_one_subscription,
    end_when_cut,
    expand,
    flat_map,
    flat_map_many,
    map_directly,
    observe_on_loop,
    split,
)
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
from .subscription import Subscription, find_innermost_run, find_outermost_run
from .timed_context import OnHeld
from .valve import Valve, check_valve
from .work import Work, WrappedWork, do_work

__all__ = [
    "BUFFER",
    "MAX_WINDOW",
    "AroundOutputs",
    "BufferOverflowError",
    "Buffering",
    "CallingObserver",
    "CloseableAsyncIterator",
    "Direct",
    "Hold",
    "InOrder",
    "Indexed",
    "Isolation",
    "Keys",
    "ManyWork",
    "OnHeld",
    "Outlet",
    "Outputs",
    "OverflowStrategy",
    "Plan",
    "Source",
    "Subscription",
    "Valve",
    "Work",
    "WrappedWork",
    "allow_one_subscription",
    "are_async",
    "as_source",
    "call_on_loop",
    "check_valve",
    "close_outputs",
    "compute_default_window",
    "do_work",
    "drain",
    "emit",
    "end_when_cut",
    "expand",
    "find_innermost_run",
    "find_outermost_run",
    "flat_map",
    "flat_map_many",
    "map_directly",
    "observe",
    "observe_on_loop",
    "split",
]
