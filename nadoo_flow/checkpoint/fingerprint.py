"""Fingerprints of inputs: a hash over a canonical text of each."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from hashlib import sha256
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID

from .._support.checks import describe_value
from ..errors import describe_error
from .protocol import FAILURES, CheckpointError, Codec

PREVIEW = 60


class Fingerprint(NamedTuple):
    """Identifies an input, so that a later run recognises it.

    Attributes:
        digest: SHA-256 over the input in JSON with sorted keys. Values that JSON lacks (bytes,
            dates, decimals, UUIDs, paths, enums, sets, dataclasses) are written with the name of
            their type.
        preview: The beginning of the hashed text, for messages.
    """

    digest: bytes
    preview: str

    def __str__(self) -> str:
        return f"{self.preview} (sha256 {self.digest[:4].hex()}…)"


def take_fingerprint(index: int, value: Any, codec: Codec | None) -> Fingerprint:
    """Take the fingerprint of an input.

    Args:
        index: Its position, for the message.
        value: The input.
        codec: The user's own codec, if there is one, which encodes inputs of other types.

    Raises:
        CheckpointError: If the input has no fingerprint, because two of its type could not be
            compared.
    """
    try:
        text = _canonical(value)
        data = text.encode()
    except FAILURES as error:
        if codec is None:
            raise CheckpointError(
                f"item {index}: the input {describe_value(value)} has no fingerprint, by which a "
                f"checkpoint could recognise it ({describe_error(error)}); make inputs of JSON "
                "values, or pass a codec= that encodes them"
            ) from error
        data = _encode_with_codec(index, value, codec)
        text = describe_value(value)
    return Fingerprint(sha256(data).digest(), text[:PREVIEW])


def _encode_with_codec(index: int, value: Any, codec: Codec) -> bytes:
    try:
        return codec.encode(value)
    except FAILURES as error:
        raise CheckpointError(
            f"item {index}: the codec= could not encode the input {describe_value(value)} for its "
            f"fingerprint: {describe_error(error)}"
        ) from error


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
        return sorted(map(_canonical, value))
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


_WRITTEN_BY_REPR = (
    *(datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    *(Decimal, Fraction, UUID, PurePath, complex, range),
)

_canonical = json.JSONEncoder(
    check_circular=False, sort_keys=True, separators=(",", ":"), default=_name_type
).encode
