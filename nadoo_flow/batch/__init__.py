"""Batch: many inputs through one node, so many at a time.

``processor`` is what users call, ``run`` says how one input goes through the node in a lane,
``dynamic`` finds the size of its batches, ``chunks`` regroups results into lists.

It may import all rooms below it; checkpoints only when one is asked for.
"""

from .dynamic import DynamicBatchProcessor
from .processor import BatchProcessor

__all__ = [
    "BatchProcessor",
    "DynamicBatchProcessor",
]
