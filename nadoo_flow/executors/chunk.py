"""Chunks: outputs of a generator that travel together."""

from __future__ import annotations

import pickle
import sys
from types import NoneType
from typing import Any, NamedTuple

from .packed_result import PackedResult

FIRST = 64
"""Outputs of the first chunk, at most: those of most generators are all in it."""

MOST = 4_096
"""Outputs of a chunk, at most."""

ENOUGH_BYTES = 1_048_576
"""Bytes with which a chunk is large enough."""

PLAIN = frozenset({NoneType, bool, int, float, str, bytes})
"""Types of outputs that cannot change and can always be pickled, many of them at once."""


class Chunk(NamedTuple):
    """Some outputs of a generator.

    Attributes:
        outputs: How many there are.
        data: They, in lists that are pickled one after the other.
        end: What the generator came to, if these were its last outputs.
    """

    outputs: int
    data: bytes
    end: PackedResult | None


class ChunkBuffer:
    """The outputs that are to travel next.

    Args:
        fixed: As many as this travel together. With None it begins with FIRST, and doubles them up
            to MOST, as long as a generator gives them in time, or until they make ENOUGH_BYTES.

    Attributes:
        outputs: How many it holds.
    """

    def __init__(self, fixed: int | None) -> None:
        self.outputs = 0
        self._wanted = fixed or FIRST
        self._most = fixed or MOST
        self._enough_bytes = sys.maxsize if fixed else ENOUGH_BYTES
        self._bytes = 0
        self._plain: list[Any] = []
        self._frames: list[bytes] = []

    @property
    def is_full(self) -> bool:
        """Whether what it holds is a chunk."""
        return self.outputs >= self._wanted or self._bytes >= self._enough_bytes

    def add_plain(self, output: Any) -> None:
        """Take an output of one of the types in PLAIN."""
        self._plain.append(output)
        self.outputs += 1
        self._bytes += sys.getsizeof(output)

    def add_packed(self, data: bytes) -> None:
        """Take an output that is pickled, in a list of its own."""
        self._pack_plain()
        self._frames.append(data)
        self.outputs += 1
        self._bytes += len(data)

    def take(self, end: PackedResult | None) -> Chunk:
        """Return all that it holds."""
        self._pack_plain()
        chunk = Chunk(self.outputs, b"".join(self._frames), end)
        self._frames.clear()
        self.outputs = self._bytes = 0
        return chunk

    def grow(self) -> None:
        """Let the next chunk be larger, because this one was full in time."""
        self._wanted = min(2 * self._wanted, self._most)

    def _pack_plain(self) -> None:
        if self._plain:
            self._frames.append(pickle.dumps(self._plain))
            self._plain.clear()
