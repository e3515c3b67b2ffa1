"""What a cache keeps, and what the places have in common where it keeps it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NamedTuple


class CacheError(Exception):
    """A cache cannot be used, or an output cannot be kept in it.

    Example:
        >>> node = FunctionNode(lambda data: {1, 2}, "sets").pipe(cache("answers.sqlite"))
        >>> results = asyncio.run(BatchProcessor(node).batch(["a"]))
        >>> type(results[0].exception).__name__, results[0].output
        ('CacheError', {1, 2})
    """


class Entry(NamedTuple):
    """An answer that is kept.

    Attributes:
        output: The output.
        metadata: The metadata.
        time: When it was kept, in seconds by the clock of its store.
    """

    output: Any
    metadata: dict[str, Any]
    time: float


class EntryStore:
    """A place where entries are kept.

    Args:
        ttl: Seconds after which an entry is not used any more.
    """

    def __init__(self, ttl: float | None) -> None:
        self._ttl = ttl

    def recall(self, key: str) -> Entry | None:
        """Return an entry for which nothing has to be awaited."""
        return None

    def read(self, key: str) -> Entry | Coroutine[Any, Any, Entry | None] | None:
        """Return an entry, unless it is too old, or a coroutine that does."""
        raise NotImplementedError

    def write(
        self, key: str, output: Any, metadata: dict[str, Any]
    ) -> Coroutine[Any, Any, None] | None:
        """Keep an answer, or return a coroutine that does.

        Afterwards it is kept as well as this store can.
        """
        raise NotImplementedError

    def _is_fresh(self, entry: Entry, now: float) -> bool:
        # A clock that was set back must not keep an entry alive for years, but clocks of several
        # machines may differ a bit.
        return self._ttl is None or abs(now - entry.time) <= self._ttl


def copy_containers(value: Any) -> Any:
    """Copy dicts, lists, tuples and sets, at any depth, and share all other objects.

    So the answers of several items are as independent as if each had been computed, and what cannot
    be copied is none the worse.
    """
    kind = type(value)
    if kind is dict:
        return {key: copy_containers(item) for key, item in value.items()}
    if kind is list:
        return [copy_containers(item) for item in value]
    if kind is tuple:
        return tuple(copy_containers(item) for item in value)
    return set(value) if kind is set else value
