"""Where a cache keeps answers: in memory, in an SQLite file, or in a store of the user's own.

``entry`` is what is kept, ``memory`` keeps it as objects, and ``encoded`` as bytes: ``sqlite`` in a
file, through calls in a thread that ``grouped_calls`` makes few, and ``foreign`` wherever the user
likes.
"""

from .entry import CacheError, Entry, EntryStore, copy_containers
from .foreign import CacheStore, ForeignStore
from .memory import MemoryStore

__all__ = [
    "CacheError",
    "CacheStore",
    "Entry",
    "EntryStore",
    "ForeignStore",
    "MemoryStore",
    "copy_containers",
]
