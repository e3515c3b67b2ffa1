"""Text and numbers for pictures and tables, cut to a length and safe to put into markup."""

from __future__ import annotations

import math
import re
import reprlib
import unicodedata
from collections.abc import Iterable
from html import escape
from typing import Any

# Characters that XML does not allow, and those that reorder the text around them.
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_SPACE = re.compile(r"\s+")

_DAY = 86_400
_MINUTES, _HOURS = (1, 2, 5, 10, 20, 30), (1, 2, 3, 6, 12, 24)
_LONG_STEPS = (
    20,
    30,
    *(60 * number for number in _MINUTES),
    *(3_600 * number for number in _HOURS),
)

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 120
_brief.maxdict = _brief.maxlist = _brief.maxtuple = _brief.maxset = 6


def shorten(value: Any, limit: int = 60) -> str:
    """Show any value in one short line: a str as it is, all else by its repr."""
    if isinstance(value, str):
        text = str.__str__(value[: 4 * limit])
    else:
        try:
            text = _brief.repr(value)
        except Exception:  # a raising __repr__ must not lose the whole picture
            text = f"<unprintable {type(value).__name__}>"
    text = _UNFIT.sub("\N{REPLACEMENT CHARACTER}", _SPACE.sub(" ", text)).strip()
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def shorten_to_width(value: Any, width: float, size: float = 12, bold: bool = False) -> str:
    """Show any value in one line of at most so many pixels."""
    text = shorten(value, max(int(width / size * 4), 1))
    if estimate_width(text, size, bold) <= width:
        return text
    end, ems = 0, width / estimate_width("…", size, bold) * _estimate_ems("…") - _estimate_ems("…")
    while ems >= _estimate_ems(text[end]):
        ems -= _estimate_ems(text[end])
        end += 1
    return f"{text[:end].rstrip()}…"


def wrap_lines(sentences: Iterable[str], width: float) -> list[str]:
    """Break sentences at spaces into lines of at most so many pixels."""
    lines: list[str] = []
    for sentence in sentences:
        line = ""
        for word in sentence.split():
            longer = f"{line} {word}".lstrip()
            if line and estimate_width(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def estimate_width(text: str, size: float = 12, bold: bool = False) -> float:
    """Estimate the width of a line of text in pixels."""
    return sum(map(_estimate_ems, text)) * size * (1.12 if bold else 1.0)


def _estimate_ems(character: str) -> float:
    """Estimate how wide a character is in most fonts, rather too wide than too narrow."""
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if unicodedata.combining(character):
        return 0.0
    if character in " .,:;'|!ijl":
        return 0.35
    if character in "frtI()[]{}-/":
        return 0.45
    return (
        0.98
        if character in "mwMW@%—…�" or ord(character) > 0x2000
        else (0.8 if character.isupper() else 0.64)
    )


def shorten_and_escape(value: Any, limit: int = 60) -> str:
    """Show any value in one short line, escaped for the text and the attributes of markup."""
    return escape(shorten(value, limit))


def format_duration(seconds: float) -> str:
    """Write seconds in a suitable unit: ``"12 ms"``, ``"3.4 s"``, ``"2 min 5 s"``."""
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def format_rate(per_second: float) -> str:
    """Write a rate with three digits that count: ``"2.16 items/s"``, ``"21,600 items/s"``."""
    rounded = float(f"{per_second:.3g}")
    return f"{rounded:,.0f} items/s" if rounded >= 100 else f"{rounded:.3g} items/s"


def format_count(number: int, noun: str) -> str:
    """Write a number of things: ``"1 item"``, ``"1,200 items"``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def choose_ticks(span: float, most: int = 8) -> list[float]:
    """Choose round numbers from 0 to a span, for the labels of an axis."""
    if span < 1e-12:  # no clock is as exact as that
        return [0.0]
    step = _round_up(span / most)
    return [step * number for number in range(int(span / step * (1 + 1e-9)) + 1)]


def _round_up(seconds: float) -> float:
    """Return the next longer time that is a round number of its unit."""
    if 10 < seconds <= _DAY:
        return next(step for step in _LONG_STEPS if step >= seconds)
    if seconds > _DAY:
        return _DAY * _round_up(seconds / _DAY)
    power = 10.0 ** math.floor(math.log10(seconds))
    return next(power * base for base in (1, 2, 5, 10, 20) if power * base >= seconds)
