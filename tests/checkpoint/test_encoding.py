"""Outputs as JSON and fingerprints of inputs."""

from __future__ import annotations

import datetime
from collections import OrderedDict, UserDict, deque
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadoo_flow import CheckpointError
from nadoo_flow.checkpoint import JsonCodec
from nadoo_flow.checkpoint.codec import encode_metadata
from nadoo_flow.checkpoint.fingerprint import take_fingerprint

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


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Prompt:
    text: str
    when: datetime.date


DAY = datetime.date(2024, 1, 2)
INPUTS: list[Any] = [
    *(
        None,
        True,
        1,
        "1",
        "",
        "text",
        1.5,
        [1],
        {"a": 1},
        {"a": 2},
        {"b": 1},
        [[1]],
        {"a": {"b": 1}},
    ),
    *(b"text", b"other", DAY, datetime.datetime(2024, 1, 2), datetime.timedelta(2), Decimal(1)),
    *(Decimal("1.0"), UUID(int=1), PurePosixPath("a"), Colour.RED, Colour.BLUE, {1, 2}, {1}),
    *(Prompt("a", DAY), Prompt("b", DAY), UserDict(a=1), deque([1]), 1j, range(3), range(4)),
    *(frozenset({"a", "b"}), {"when": DAY}, [Prompt("a", DAY)], float("nan"), {1: "a"}),
]


def test_different_inputs_have_different_fingerprints() -> None:
    digests = [take_fingerprint(0, value, None).digest for value in INPUTS]
    assert len(set(digests)) == len(INPUTS)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2, "a", "b", "c"}, {"c", "b", "a", 1, 2, 3}),
        ((1, 2), [1, 2]),
        (bytearray(b"x" * 9), bytearray(b"x" * 9)),
        (Prompt("a", DAY), Prompt("a", DAY)),
    ],
)
def test_equal_inputs_have_the_same_fingerprint(one: object, same: object) -> None:
    assert take_fingerprint(0, one, None) == take_fingerprint(1, same, None)


def test_a_fingerprint_never_changes_between_versions() -> None:
    fingerprint = take_fingerprint(0, {"é": [1, DAY], "a": None}, None)
    assert str(fingerprint) == (
        '{"a":null,"\\u00e9":[1,{"<date>":"datetime.date(2024, 1, 2)"} (sha256 02162792…)'
    )


@pytest.mark.parametrize("value", [object(), len, [object()], {(1, 2): 3}, {"a": 1, 2: 3}, ITSELF])
def test_an_input_that_cannot_be_compared_is_refused_by_name(value: object) -> None:
    with pytest.raises(CheckpointError, match=r"item 9: the input .* has no fingerprint.* codec="):
        take_fingerprint(9, value, None)


class Broken:
    def encode(self, value: object) -> bytes:
        raise KeyError("x")

    def decode(self, data: bytes) -> object:
        return data


def test_a_codec_that_cannot_encode_an_input_is_told() -> None:
    with pytest.raises(CheckpointError, match="item 9: the codec= could not encode the input <obj"):
        take_fingerprint(9, object(), Broken())
