"""Operators of the engine: ``flat_map`` works on items, the others keep order and thread.

They build on the subscription, and know neither sources nor sinks.
"""

from .allow_one_subscription import allow_one_subscription
from .end_when_cut import end_when_cut
from .expand import expand
from .flat_map import Isolation, flat_map
from .flat_map_many import flat_map_many
from .in_order import InOrder
from .key_order import Keys
from .map_directly import map_directly
from .observe_on_loop import observe_on_loop
from .split import split

__all__ = [
    "InOrder",
    "Isolation",
    "Keys",
    "allow_one_subscription",
    "end_when_cut",
    "expand",
    "flat_map",
    "flat_map_many",
    "map_directly",
    "observe_on_loop",
    "split",
]
