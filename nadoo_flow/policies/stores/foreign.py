"""The entries of a cache in a store of the user's own."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, runtime_checkable

from typing_extensions import override

from ..._support.checks import describe_value
from ...errors import describe_error
from .encoded import EncodedStore
from .entry import CacheError


@runtime_checkable
class CacheStore(Protocol):
    """Keeps bytes by their keys; write a class with these methods for a store of your own.

    Both methods may be async. They are called on the event loop, for many keys at a time, so one
    that is not async must be quick. What they raise fails the item as a :class:`CacheError`.

    Example:
        >>> class DictStore(dict):
        ...     def set(self, key, value, ttl):
        ...         self[key] = value
        >>> node = FunctionNode(str.upper).pipe(cache(DictStore()))
        >>> asyncio.run(node.run("hello"))
        'HELLO'
    """

    def get(self, key: str) -> Any:
        """Return the bytes that were set for a key, or None; or an awaitable of that.

        Args:
            key: 64 hexadecimal digits.
        """

    def set(self, key: str, value: bytes, ttl: float | None) -> Any:
        """Keep bytes in the place of any others; when this is done, they are kept.

        Args:
            key: 64 hexadecimal digits.
            value: JSON.
            ttl: Seconds after which they are not asked for any more, so that they may be dropped.
        """


class ForeignStore(EncodedStore):
    """Keeps entries in a store of the user's own."""

    def __init__(self, store: CacheStore, ttl: float | None) -> None:
        super().__init__(ttl)
        self._store = store

    @property
    @override
    def name(self) -> str:
        return f"the cache {describe_value(self._store)}"

    async def _load(self, key: str) -> bytes | None:
        try:
            data = self._store.get(key)
            if inspect.isawaitable(data):
                data = await data
        except Exception as error:
            raise self._blame(error) from error
        if data is None or isinstance(data, bytes):
            return data
        raise CacheError(
            f"get() of {self.name} must return bytes or None, got {describe_value(data)}"
        )

    async def _save(self, key: str, data: bytes) -> None:
        try:
            answer = self._store.set(key, data, self._ttl)
            if inspect.isawaitable(answer):
                await answer
        except Exception as error:
            raise self._blame(error) from error

    def _blame(self, error: Exception) -> CacheError:
        return CacheError(f"{self.name} failed: {describe_error(error)}")
