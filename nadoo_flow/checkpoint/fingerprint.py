"""Fingerprints of inputs: a hash over a canonical text of each."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

from .._support.checks import describe_value
from ..errors import describe_error
from ..storage import FAILURES, Codec, encode_canonically, encode_with
from .protocol import CheckpointError

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
        data = encode_canonically(value)
    except FAILURES as error:
        if codec is None:
            raise CheckpointError(
                f"item {index}: the input {describe_value(value)} has no fingerprint, by which a "
                f"checkpoint could recognise it ({describe_error(error)}); make inputs of JSON "
                "values, or pass a codec= that encodes them"
            ) from error
        data = _encode_with_codec(index, value, codec)
        # A file cannot hold the surrogates that a repr may have.
        preview = describe_value(value).encode(errors="backslashreplace").decode()
        return Fingerprint(sha256(data).digest(), preview[:PREVIEW])
    return Fingerprint(sha256(data).digest(), data[:PREVIEW].decode())


def _encode_with_codec(index: int, value: Any, codec: Codec) -> bytes:
    try:
        return encode_with(codec, value)
    except FAILURES as error:
        raise CheckpointError(
            f"item {index}: the codec= could not encode the input {describe_value(value)} for its "
            f"fingerprint: {describe_error(error)}"
        ) from error
