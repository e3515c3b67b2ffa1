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


def get_bare(data: Any) -> Any:
    """Return the item that a node is given."""
    return data["item"] if isinstance(data, dict) and len(data) == 1 else data


def is_kept(value: Any) -> bool:
    """Tell whether the filters keep an item."""
    return key_of(value) % 3 != 2


def output_of(value: Any, number: int) -> int:
    """Make an output of an item; it is none of another item, and none of a later item is less."""
    return key_of(value) * 10 + number


def parent_of(output: int) -> int:
    """Return the key of the item that an output was made of."""
    return output // 10


def child_of(value: Any, number: int) -> int:
    """Make an item of an expansion; it is none of another item, and none of the source."""
    return (key_of(value) + 10) * 10 + number


def parent_in_expansion(child: int) -> int:
    """Return the key of the item that an item of an expansion was made of; below 0, of none."""
    return child // 10 - 10


def nested_items(value: Any, length: int) -> list[int]:
    """Make the items of a nested run; none is an item of another one."""
    return [key_of(value) * 100 + number for number in range(length)]
