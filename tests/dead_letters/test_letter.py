"""One dead letter and its line: what was written comes back, or says that it does not."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadoo_flow import BatchResult, DeadLetter, DeadLetterError
from nadoo_flow.dead_letters.letter import LONGEST_TEXT, format_line, make_letter, parse_line

TIME = datetime(2026, 5, 4, 3, 2, 1, 500, tzinfo=UTC)


class Pickling:
    """A codec that can hold nearly everything."""

    def encode(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def decode(self, data: bytes) -> Any:
        return pickle.loads(data)


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("no words")


def a_letter(value: Any, **fields: Any) -> DeadLetter:
    return DeadLetter(
        **{
            "index": 3,
            "input": value,
            "error": "ValueError: no",
            "exception": "ValueError",
            "attempts": 2,
            "time": TIME,
        }
        | fields
    )


def test_a_line_holds_what_the_letter_says() -> None:
    line = format_line(a_letter({"city": "Zürich"}))
    assert line.endswith(b"\n")
    assert "Zürich".encode() in line
    assert json.loads(line) == {
        "index": 3,
        "input": {"city": "Zürich"},
        "error": "ValueError: no",
        "exception": "ValueError",
        "attempts": 2,
        "time": "2026-05-04T03:02:01.000500+00:00",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(JSON.filter(lambda value: value == value))
def test_what_json_can_hold_comes_back(value: Any) -> None:
    letter = parse_line(format_line(a_letter(value)), None)
    assert letter is not None
    if letter.form == "json":
        assert letter == a_letter(value)
    else:  # an infinity, or half of a surrogate pair
        assert letter.input == repr(value)[:LONGEST_TEXT]


@pytest.mark.parametrize(
    "value", [("a", 1), {1: "a"}, float("nan"), b"\xff", {"at": TIME}, [{"x": {1, 2}}]], ids=str
)
def test_what_json_cannot_hold_is_described_or_encoded(value: Any) -> None:
    described = parse_line(format_line(a_letter(value)), None)
    assert described is not None
    assert (described.form, described.input) == ("text", repr(value))
    encoded = parse_line(format_line(a_letter(value), Pickling()), Pickling())
    assert encoded is not None
    assert (encoded.form, repr(encoded.input)) == ("codec", repr(value))


def test_a_codec_that_fails_and_a_repr_that_raises_cost_only_the_input() -> None:
    letter = parse_line(format_line(a_letter(lambda: 1), Pickling()), None)
    assert letter is not None
    assert letter.form == "text"
    letter = parse_line(format_line(a_letter(Unspeakable())), None)
    assert letter is not None
    assert letter.input == "<Unspeakable: its repr could not be read: ValueError>"
    letter = parse_line(format_line(a_letter("x" * 20_000)), None)
    assert letter is not None
    assert (letter.form, len(letter.input)) == ("json", 20_000)
    letter = parse_line(format_line(a_letter([object()] * 20_000)), None)
    assert letter is not None
    assert len(letter.input) == LONGEST_TEXT


def test_a_text_stays_a_text() -> None:
    assert parse_line(format_line(a_letter("abc", form="text")), None) == a_letter(
        "abc", form="text"
    )


@pytest.mark.parametrize(
    ("metadata", "attempts"),
    [({}, 1), ({"attempts": 4}, 4), ({"attempts": "many"}, 1), ({"attempts": -1}, 1)],
)
def test_a_letter_is_made_of_a_result(metadata: dict[str, Any], attempts: int) -> None:
    before = datetime.now(UTC)
    result = BatchResult(7, "x", False, error="json.JSONDecodeError: y", metadata=metadata)
    result.exception = json.JSONDecodeError("m", "d", 0)
    letter = make_letter(result)
    assert before <= letter.time <= datetime.now(UTC)
    assert letter.exception == "json.decoder.JSONDecodeError"
    assert (letter.index, letter.input, letter.error) == (7, "x", "json.JSONDecodeError: y")
    assert letter.attempts == attempts


@given(st.integers(0, 200))
def test_a_torn_line_is_known(end: int) -> None:
    line = format_line(a_letter("é" * 10))
    whole = end >= len(line) - 1
    assert (parse_line(line[: max(end, 1)], None) is not None) is whole


@pytest.mark.parametrize(
    "line",
    [
        b"no",
        b"[1, 2]",
        b"7",
        b'{"n": 1}',
        b'{"index": 1, "input": 2}',
        format_line(a_letter(1, index="x")),
        format_line(a_letter(1, error=None)),
        format_line(a_letter(1, attempts=1.5)),
        format_line(a_letter("a")).replace(b"2026-", b"never-"),
        format_line(a_letter("a", form="text")).replace(b"text", b"song"),
    ],
)
def test_another_line_is_no_letter(line: bytes) -> None:
    with pytest.raises(DeadLetterError, match=r"^is no dead letter: "):
        parse_line(line, None)


def test_a_codec_that_is_missing_or_another_is_named() -> None:
    line = format_line(a_letter((1, 2)), Pickling())
    with pytest.raises(DeadLetterError, match="pass that as codec="):
        parse_line(line, None)
    with pytest.raises(DeadLetterError, match="the codec cannot read: "):
        parse_line(line.replace(b'"input": "', b'"input": "AAAA'), Pickling())
    with pytest.raises(DeadLetterError, match="the codec cannot read: "):
        parse_line(line.replace(b'"input": "', b'"input": "!'), Pickling())
