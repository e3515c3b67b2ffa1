"""The identity of an item, by which a later run recognises it.

An item of the source has its position, an output of a recorded stage that of its item. Behind a
stage that is not recorded, whose outputs may be others in a later run, an item is what it contains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from ..checkpoint import Fingerprint, take_fingerprint
from ..storage import Codec
from ..streams import Indexed
from .indexes import OutputIndex

Identity: TypeAlias = Callable[[Indexed[Any]], tuple[int, Fingerprint | None]]
"""Returns the index of an item, with the path that identifies it, and a fingerprint to compare."""


def follow(item: Indexed[Any]) -> tuple[int, Fingerprint | None]:
    """Identify an output of a recorded stage: it is that of its item."""
    return item[0], None


def make_source_identity(codec: Codec | None) -> Identity:
    """Return what identifies the items of a source: their positions, while the inputs are equal."""

    def identify(item: Indexed[Any]) -> tuple[int, Fingerprint | None]:
        index, value = item
        return index, take_fingerprint(index, value, codec)

    return identify


def make_content_identity(codec: Codec | None) -> Identity:
    """Return what identifies items by what they contain; equal ones are counted."""
    counts: Counter[bytes] = Counter()

    def identify(item: Indexed[Any]) -> tuple[int, Fingerprint | None]:
        index, value = item
        digest = take_fingerprint(index, value, codec).digest
        path = f"{digest.hex()}-{counts[digest]}"
        counts[digest] += 1
        return OutputIndex(index, int(index), path), None

    return identify
