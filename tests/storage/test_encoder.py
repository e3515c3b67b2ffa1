"""The encoder that is made once writes what the encoder of the standard library writes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from nadoo_flow.storage.encoder import make_encode

VALUES = {
    "scalars": [None, True, False, 0, -7, 10**30, 1.5, 1e300, "", "a"],
    "texts": ["é", "\U0001f600", "\ud800", '"\\\n\x00', {"ключ": "값"}],
    "nested": {"b": [1, {"d": (), "c": [[]]}], "a": {}},
    "numbers": [math.nan, math.inf, -math.inf],
    "keys": {1: "int", "x": "text"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sorted": {"sort_keys": True},
    "without NaN": {"allow_nan": False},
    "of other types": {"default": lambda value: {"type": type(value).__name__}},
}


def result_of(encode: Any, value: Any) -> Any:
    """Return what is written, or the kind and words of the error."""
    try:
        return encode(value)
    except (TypeError, ValueError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("in_c", [True, False], ids=["in C", "in Python"])
def test_values_and_errors_are_those_of_the_standard_library(
    options: dict[str, Any], in_c: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = json.JSONEncoder(check_circular=False, separators=(",", ":"), **options)
    if not in_c:
        monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    encode = make_encode(**options)
    for value in [*VALUES.values(), object(), {"set": {1}}, b"bytes"]:
        expected = result_of(lambda one: reference.encode(one).encode(), value)
        assert result_of(encode, value) == expected


def test_a_value_that_contains_itself_ends_in_a_recursion_error() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(RecursionError):
        make_encode()(value)


def test_other_types_may_be_written_by_the_same_encoder() -> None:
    encode = make_encode(default=lambda value: encode(sorted(value)).decode())
    assert encode([{2, 1}]) == b'["[1,2]"]'
