"""JSON without spaces, at the speed of the standard library's encoder in C."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def make_encode(**options: Any) -> Callable[[Any], bytes]:
    """Return a function that writes a value as JSON in ASCII.

    A value that contains itself ends in a RecursionError; a check of each value would cost more.

    Args:
        options: Those of a ``JSONEncoder`` besides ``separators``.
    """
    encoder = json.JSONEncoder(check_circular=False, separators=(",", ":"), **options)
    try:
        # JSONEncoder.encode makes this anew for each value, which takes longer than a short value.
        write = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None,
            encoder.default,
            json.encoder.encode_basestring_ascii,
            encoder.indent,
            encoder.key_separator,
            encoder.item_separator,
            encoder.sort_keys,
            encoder.skipkeys,
            encoder.allow_nan,
        )
    except (AttributeError, TypeError):  # It is not documented, so another Python may differ.
        return lambda value: encoder.encode(value).encode()
    join = "".join

    def encode(value: Any) -> bytes:
        return join(write(value, 0)).encode()

    return encode
