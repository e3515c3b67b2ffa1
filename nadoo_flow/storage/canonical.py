"""The canonical form of a value, over which its fingerprint is taken."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from uuid import UUID

from .encoder import make_encode


def _name_type(value: Any) -> dict[str, Any]:
    """Write a value that JSON lacks as a mapping from the name of its type to its content."""
    return {f"<{type(value).__qualname__}>": _get_content(value)}


def _get_content(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return sha256(value).hexdigest()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, _WRITTEN_BY_REPR):
        return repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return sorted(encode_canonically(item).decode() for item in value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


_WRITTEN_BY_REPR = (
    *(datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    *(Decimal, Fraction, UUID, PurePath, complex, range),
)

encode_canonically = make_encode(sort_keys=True, default=_name_type)
"""Write a value as JSON with sorted keys, which is the same for equal values.

Values that JSON lacks (bytes, dates, decimals, UUIDs, paths, enums, sets, dataclasses) are written
with the name of their type. A tuple is written as a list.

Raises:
    TypeError: If two values of its type could not be compared. What code of the value raises
        passes too.
"""
