"""Batch: many inputs through one node, so many at a time.

Users call a ``processor``, whose settings and plans are in ``planner``; ``run`` builds the chain of
one run, and ``item`` processes one input of it. ``dynamic`` finds the size of its batches,
``chunks`` groups results in lists, ``retrying`` processes again what failed. ``limits`` drains a
run that reaches one, and ``outcome`` knows how the runs of a batch ended.

It may import all rooms below it; checkpoints only when one is asked for.
"""

from .dynamic import DynamicBatchProcessor
from .processor import BatchProcessor

__all__ = [
    "BatchProcessor",
    "DynamicBatchProcessor",
]
