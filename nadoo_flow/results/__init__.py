"""Results: the result of each input of a batch, and of all of them together.

It may import ``tracing``, ``drawing`` and ``_support``.
"""

from .batch_result import BatchResult
from .batch_results import BatchResults
from .stopped import RunningSummary, Stopped

__all__ = [
    "BatchResult",
    "BatchResults",
    "RunningSummary",
    "Stopped",
]
