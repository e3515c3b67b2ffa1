"""Words for pictures: short, on one line, and without anything that acts."""

from __future__ import annotations

import pytest

from nadoo_flow._support.text import (
    choose_ticks,
    estimate_width,
    format_duration,
    format_rate,
    shorten,
    shorten_and_escape,
    shorten_to_width,
    wrap_lines,
)
from nadoo_flow.drawing.svg import number

from ..hostile_texts import HOSTILE, Unprintable, assert_fit


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("short", "short"),
        ("a\n  b\tc", "a b c"),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 60, "x" * 60),
        ({"a": 1}, "{'a': 1}"),
        (None, "None"),
        (b"bytes", "b'bytes'"),
        ("a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\u202eabc", "\N{REPLACEMENT CHARACTER}abc"),
    ],
)
def test_a_value_is_one_short_line(value: object, words: str) -> None:
    assert shorten(value) == words


@pytest.mark.parametrize(
    "value", [*HOSTILE, [HOSTILE] * 1_000, Unprintable(), {"a": Unprintable()}]
)
def test_whatever_it_is_it_comes_out_safe(value: object) -> None:
    assert len(shorten(value)) <= 60
    assert not set("<>\"'") & set(shorten_and_escape(value))
    assert_fit(shorten_and_escape(value))


@pytest.mark.parametrize(
    "letter", ["x", "W", "i", "漢", "👩", " x", "ש", "\N{COMBINING ACUTE ACCENT}a"]
)
def test_a_text_is_cut_to_its_room(letter: str) -> None:
    narrow, wide = shorten_to_width(letter * 1_000, 100), shorten_to_width(letter * 1_000, 200)
    assert narrow.endswith("…")
    assert 1.7 * len(narrow) < len(wide) <= 200
    assert shorten_to_width(letter * 3, 200) == (letter * 3).strip()


@pytest.mark.parametrize("room", [1, 5, 12])
def test_where_there_is_no_room_hardly_anything_is_left(room: float) -> None:
    assert shorten_to_width("WWWWWWWW", room) == "…"


def test_sentences_are_broken_into_lines_and_none_of_their_words_is_lost() -> None:
    sentences = ["One two three four five six seven.", "Short.", "x" * 100 + " end."]
    lines = wrap_lines(sentences, 100)
    assert " ".join(lines) == " ".join(sentences)
    assert lines[-3:] == ["Short.", "x" * 100, "end."]
    assert all(estimate_width(line) <= 100 for line in lines if " " in line)
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 µs"),
        (0.000_25, "250 µs"),
        (0.000_999_9, "1 ms"),
        (0.0123, "12.3 ms"),
        (0.999_9, "1 s"),
        (12.34, "12.3 s"),
        (99.94, "99.9 s"),
        (99.96, "1 min 40 s"),
        (120, "2 min"),
        (3_599.9, "1 h"),
        (90_061, "25 h 1 min"),
    ],
)
def test_a_duration_has_a_unit_that_suits_it(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


@pytest.mark.parametrize(
    ("per_second", "words"),
    [
        (0.012_34, "0.0123 items/s"),
        (2.164, "2.16 items/s"),
        (99.96, "100 items/s"),
        (999.6, "1,000 items/s"),
        (21_640, "21,600 items/s"),
    ],
)
def test_a_rate_is_written_without_an_exponent(per_second: float, words: str) -> None:
    assert format_rate(per_second) == words


@pytest.mark.parametrize(
    ("span", "numbers"),
    [
        (0, [0]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (7, list(range(8))),
        (45, [0, 10, 20, 30, 40]),
        (0.3, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (130, [0, 20, 40, 60, 80, 100, 120]),
        (600, [0, 120, 240, 360, 480, 600]),
        (9_600, list(range(0, 9_601, 1_200))),
        (400_000, [0, 86_400, 172_800, 259_200, 345_600]),
    ],
)
def test_the_numbers_of_an_axis_are_round(span: float, numbers: list[float]) -> None:
    assert choose_ticks(span) == pytest.approx(numbers)


@pytest.mark.parametrize("span", [1e-9, 3e-5, 0.77, 9.99, 86_400, 1e12])
def test_an_axis_has_a_few_numbers_whatever_its_length(span: float) -> None:
    assert 3 <= len(choose_ticks(span)) <= 9


@pytest.mark.parametrize(
    ("value", "written"), [(1.0, "1"), (1.25, "1.2"), (-0.01, "0"), (-1.56, "-1.6"), (10, "10")]
)
def test_a_coordinate_is_written_in_short(value: float, written: str) -> None:
    assert number(value) == written
