"""The default codec: outputs as JSON, which any program can read and which runs no code."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from .._support.checks import describe_value
from ..errors import describe_error
from .encoder import make_encode

_encode = make_encode(allow_nan=False)

FAILURES = (Exception, GeneratorExit, asyncio.CancelledError)
"""What a codec or an input may raise that is no wish to leave the program."""

_SCALARS = frozenset({str, int, float, bool, type(None)})


class Codec(Protocol):
    """Turns outputs into bytes and back; a decoded output must equal the encoded one.

    A codec of your own also encodes inputs that have no fingerprint otherwise. Equal inputs must
    then give the same bytes.

    Example:
        >>> import pickle
        >>> class PickleCodec:
        ...     def encode(self, value):
        ...         return pickle.dumps(value)
        ...     def decode(self, data):
        ...         return pickle.loads(data)
        >>> codec = PickleCodec()
        >>> processor = BatchProcessor(lambda text: set(text), checkpoint="run.sqlite", codec=codec)
    """

    def encode(self, value: Any) -> bytes:
        """Turn an output into bytes, or raise.

        Args:
            value: The output.
        """

    def decode(self, data: bytes) -> Any:
        """Turn bytes back into the output.

        Args:
            data: What :meth:`encode` returned.
        """


class JsonCodec:
    """Stores values that come back from JSON unchanged, and refuses all others.

    A tuple would come back as a list, and a number that is a key as a text, so both are refused.
    So are NaN and the infinities, which JSON does not have.

    Example:
        >>> JsonCodec().decode(JsonCodec().encode({"tags": ["a", "b"]}))
        {'tags': ['a', 'b']}
    """

    def encode(self, value: Any) -> bytes:
        """Turn a value into JSON.

        Args:
            value: None, a bool, a number, a text, or lists and dicts of these.

        Raises:
            TypeError: If it would not come back equal.
        """
        try:
            data = _encode(value)
            same = _is_plain(value) or json.loads(data) == value
        except Exception as error:
            raise TypeError(
                f"{describe_value(value)} is not JSON: {describe_error(error)}"
            ) from error
        if not same:
            raise TypeError(f"{describe_value(value)} would not come back from JSON as it is")
        return data

    def decode(self, data: bytes) -> Any:
        """Read JSON.

        Args:
            data: What :meth:`encode` returned.
        """
        return json.loads(data)


def choose_encode(codec: Codec | None) -> Callable[[Any], bytes]:
    """Return what encodes by a codec of the user, or as JSON where there is none."""
    return JsonCodec().encode if codec is None else partial(encode_with, codec)


def encode_with(codec: Codec, value: Any) -> bytes:
    """Encode a value by a codec of the user, and check what that returns.

    Args:
        codec: The codec.
        value: The value.

    Raises:
        TypeError: If these are no bytes. What the codec raises passes.
    """
    data: Any = codec.encode(value)
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)  # the codec may use its buffer again
    text = f"encode() of the codec must return bytes, got {describe_value(data)}"
    if inspect.iscoroutine(data):
        data.close()
    raise TypeError(text)


def _is_plain(value: Any) -> bool:
    """Return whether a value is of the frequent kinds that certainly come back from JSON."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not (type(item) in _SCALARS or _is_plain(item)):
                return False
        return True
    return kind in _SCALARS or (kind is list and all(map(_is_plain, value)))


def encode_metadata(metadata: dict[str, Any]) -> bytes:
    """Encode the entries of a node's metadata that come back from JSON unchanged."""
    if not metadata:
        return b"{}"
    codec = JsonCodec()
    entries = []
    for key, value in metadata.items():
        try:
            entries.append(codec.encode({key: value})[1:-1])
        except FAILURES:  # one entry that cannot be stored must not cost the others
            continue
    return b"{" + b",".join(entries) + b"}"
