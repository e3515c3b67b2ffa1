"""Fingerprints of inputs, and inputs that have none."""

from __future__ import annotations

import datetime

import pytest

from nadoo_flow import CheckpointError
from nadoo_flow.checkpoint.fingerprint import take_fingerprint

DAY = datetime.date(2024, 1, 2)
ITSELF: list[object] = []
ITSELF.append(ITSELF)


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


def test_the_preview_of_an_input_has_no_surrogates_because_no_file_holds_them() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "odd \ud800"

    class Constant:
        def encode(self, value: object) -> bytes:
            return b"odd"

        def decode(self, data: bytes) -> object:
            return data

    assert take_fingerprint(0, Odd(), Constant()).preview == r"odd \ud800 (Odd)"
