"""Entries as bytes: JSON, which any program can read and which runs no code."""

from __future__ import annotations

import json
from time import time
from typing import Any

from typing_extensions import override

from ...errors import describe_error
from ...storage import JsonCodec, encode_metadata
from .entry import CacheError, Entry, EntryStore

_codec = JsonCodec()


class EncodedStore(EntryStore):
    """Keeps entries as bytes, with times of the wall clock, which other processes have too.

    A subclass says where.
    """

    @property
    def name(self) -> str:
        """The name of the store in a message."""
        raise NotImplementedError

    @override
    async def read(self, key: str) -> Entry | None:
        data = await self._load(key)
        if data is None:
            return None
        entry = self._decode(data)
        return entry if self._is_fresh(entry, time()) else None

    @override
    async def write(self, key: str, output: Any, metadata: dict[str, Any]) -> None:
        await self._save(key, self._encode(output, metadata))

    async def _load(self, key: str) -> bytes | None:
        """Return the bytes of an entry."""
        raise NotImplementedError

    async def _save(self, key: str, data: bytes) -> None:
        """Keep the bytes of an entry."""
        raise NotImplementedError

    def _encode(self, output: Any, metadata: dict[str, Any]) -> bytes:
        try:
            encoded = _codec.encode(output)
        except TypeError as error:
            raise CacheError(
                f"the output cannot be kept in {self.name}: {error}; "
                "let the node give JSON values, or use store=None"
            ) from error
        parts = (encoded, encode_metadata(metadata), repr(time()).encode())
        return b'{"output":%b,"metadata":%b,"time":%b}' % parts

    def _decode(self, data: bytes) -> Entry:
        try:
            fields = json.loads(data)
            entry = Entry(fields["output"], dict(fields["metadata"]), float(fields["time"]))
        except Exception as error:
            raise CacheError(
                f"{self.name} holds an entry that cannot be read: {describe_error(error)}"
            ) from error
        return entry
