"""Sources: inputs of any kind, emitted with their indexes and only within the demand of their run.

They build on the subscription, and know neither operators nor sinks.
"""

from .hot_source import BUFFER, Buffering, BufferOverflowError, OverflowStrategy
from .source import Source, as_source, emit

__all__ = [
    "BUFFER",
    "BufferOverflowError",
    "Buffering",
    "OverflowStrategy",
    "Source",
    "as_source",
    "emit",
]
