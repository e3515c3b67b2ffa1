"""The entries of a cache in memory."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any

from typing_extensions import override

from ..._support.checks import describe_value
from ..._support.clock import get_clock
from .entry import CacheError, Entry, EntryStore, copy_containers

# One for all, because an object that holds a lock could not be copied. Reentrant, because the
# garbage collector may call code that asks a cache at any point.
_changing = threading.RLock()


class MemoryStore(EntryStore):
    """Keeps the entries that were used last, as objects, for any number of event loops.

    A copy, as for another process, is empty.

    Args:
        max_entries: Most entries.
        ttl: Seconds after which an entry is not used any more, by the clock of the event loop.
    """

    def __init__(self, max_entries: int, ttl: float | None) -> None:
        super().__init__(ttl)
        self._max_entries = max_entries
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    @override
    def recall(self, key: str) -> Entry | None:
        with _changing:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if self._is_fresh(entry, self._get_time()):
                self._entries.move_to_end(key)
                return entry
            # Until the lock is released this entry lives, whatever its end may call.
            del self._entries[key]
        return None

    @override
    def read(self, key: str) -> Entry | None:
        return self.recall(key)

    @override
    def write(self, key: str, output: Any, metadata: dict[str, Any]) -> None:
        if isinstance(output, (Iterator, AsyncIterator)):
            raise CacheError(
                f"the output cannot be kept: {describe_value(output)} can be used only once; "
                "let the node give a list"
            )
        # So that what an item does to its answer does not change that of others.
        try:
            entry = Entry(copy_containers(output), copy_containers(metadata), self._get_time())
        except RecursionError as error:
            raise CacheError("the output cannot be kept: it contains itself") from error
        dropped = []
        with _changing:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                dropped.append(self._entries.popitem(last=False))

    def _get_time(self) -> float:
        return 0.0 if self._ttl is None else get_clock(asyncio.get_running_loop())()

    def __reduce__(self) -> tuple[type[MemoryStore], tuple[int, float | None]]:
        return MemoryStore, (self._max_entries, self._ttl)
