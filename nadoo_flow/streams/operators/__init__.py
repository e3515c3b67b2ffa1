"""Operators of the engine: ``flat_map`` works on items, the others keep order, thread and count.

They build on the subscription, and know neither sources nor sinks.
"""

from .flat_map import Isolation, flat_map
from .in_order import InOrder
from .on_loop import on_loop
from .subscribed_once import subscribed_once

__all__ = [
    "InOrder",
    "Isolation",
    "flat_map",
    "on_loop",
    "subscribed_once",
]
