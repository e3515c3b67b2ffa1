"""Outputs as JSON: readable by anything, and harmless to read."""

from __future__ import annotations

import json
from typing import Any

from .._support.checks import describe_value
from ..errors import describe_error

# What holds itself ends in a RecursionError; looking for it in each value would cost more.
_encode = json.JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":")).encode

_SCALARS = frozenset({str, int, float, bool, type(None)})


class JsonCodec:
    """Stores what JSON gives back as it was, and refuses the rest.

    A tuple would come back as a list and a number as a key as a text, so both are refused, and so
    are NaN and the infinities, which are no JSON.
    """

    def encode(self, value: Any) -> bytes:
        """Turn a value into JSON.

        Raises:
            TypeError: If it would not come back equal.
        """
        try:
            text = _encode(value)
            same = _is_plain(value) or json.loads(text) == value
        except Exception as error:
            raise TypeError(
                f"{describe_value(value)} is not JSON: {describe_error(error)}"
            ) from error
        if not same:
            raise TypeError(f"{describe_value(value)} would not come back from JSON as it is")
        return text.encode()

    def decode(self, data: bytes) -> Any:
        """Read JSON."""
        return json.loads(data)


def _is_plain(value: Any) -> bool:
    """Tell quickly, of the most frequent kinds of values, that JSON gives them back."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not (type(item) in _SCALARS or _is_plain(item)):
                return False
        return True
    return kind in _SCALARS or (kind is list and all(map(_is_plain, value)))


def encoded_metadata(metadata: dict[str, Any]) -> bytes:
    """Turn those entries of a node's metadata into JSON that come back as they are."""
    if not metadata:
        return b"{}"
    codec = JsonCodec()
    entries = []
    for key, value in metadata.items():
        try:
            entries.append(codec.encode({key: value})[1:-1])
        except TypeError:  # each entry is kept or left out by itself
            continue
    return b"{" + b",".join(entries) + b"}"
