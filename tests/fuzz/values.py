"""Items: numbers, and what operators make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def key_of(value: Any) -> int:
    """Make a number of whatever an item has become."""
    if isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return key_of(list(value.values()))
    if isinstance(value, (list, tuple)):
        return sum(key_of(part) for part in value) + len(value)
    return 1
