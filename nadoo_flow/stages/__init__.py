"""Stages: nodes that work on the items of a list, each the Rx operator of its name.

``stage`` says what they share, ``fusion`` lets neighbours become one chain through which the items
flow one by one. ``resuming`` gives a run of them its checkpoint, and ``recording`` has each stage
record what it makes of an item.

It may import ``checkpoint`` and the rooms below it.
"""

from .expand import ExpandNode
from .filter import FilterNode
from .flat_map import FlatMapNode
from .map import MapNode
from .operator import OperatorNode
from .reduce import ReduceNode
from .route import RouteStage, route
from .stage import Chain, ListStage

__all__ = [
    "Chain",
    "ExpandNode",
    "FilterNode",
    "FlatMapNode",
    "ListStage",
    "MapNode",
    "OperatorNode",
    "ReduceNode",
    "RouteStage",
    "route",
]
