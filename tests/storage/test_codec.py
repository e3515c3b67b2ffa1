"""Outputs as JSON, which come back as they were."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadoo_flow.storage import FAILURES, JsonCodec, encode_metadata

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.slow
@settings(max_examples=50)
@given(JSON)
def test_what_is_json_comes_back_as_it_was(value: object) -> None:
    codec = JsonCodec()
    back = codec.decode(codec.encode(value))
    assert back == value
    assert repr(back) == repr(value)


NUMBERED: dict[object, object] = {"1": 2, 1: 2}
ITSELF: list[object] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ((1, 2), "(1, 2) (tuple) would not come back from JSON as it is"),
        ([{"a": (1,)}], "[{'a': (1,)}] (list) would not come back from JSON as it is"),
        ({1: 2}, "{1: 2} (dict) would not come back from JSON as it is"),
        (NUMBERED, "{'1': 2, 1: 2} (dict) would not come back from JSON as it is"),
        (
            b"x",
            "b'x' (bytes) is not JSON: TypeError: Object of type bytes is not JSON serializable",
        ),
        (
            float("nan"),
            "nan (float) is not JSON: ValueError: Out of range float values are not JSON compliant",
        ),
        (ITSELF, "[[...]] (list) is not JSON: RecursionError"),
    ],
)
def test_what_would_not_come_back_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(TypeError) as caught:
        JsonCodec().encode(value)
    assert str(caught.value).startswith(complaint)


def test_what_is_equal_to_json_is_stored() -> None:
    assert JsonCodec().encode(OrderedDict(a=1)) == b'{"a":1}'


def test_entries_of_metadata_that_are_no_json_are_left_out() -> None:
    metadata: dict[Any, Any] = {"a": 1, 5: 2, "b": object(), "c": [None]}
    assert encode_metadata(metadata) == b'{"a":1,"c":[null]}'
    assert encode_metadata({"b": object()}) == b"{}"


@pytest.mark.parametrize("error", [ValueError, *FAILURES[1:]])
def test_entries_of_metadata_that_raise_are_left_out(error: type[BaseException]) -> None:
    class Odd(dict[str, int]):
        def items(self) -> Any:
            raise error

    assert encode_metadata({"a": Odd(a=1), "b": 2}) == b'{"b":2}'
