"""SVG markup for light and dark backgrounds, inline in a page or as a file."""

from __future__ import annotations

from html import escape

from .._support.text import choose_ticks, format_duration, shorten_and_escape, shorten_to_width

BLUE, RED, GREEN, ORANGE = "#3b82f6", "#e5484d", "#2f9e5b", "#d9730d"
# Tones of medium lightness, which stand out against white and against black.
PALETTE = (BLUE, GREEN, ORANGE, "#a855f7", "#0d94a8", "#a1711a", "#7684a8", "#c455a8")

WIDTH, RIGHT, TOP = 960, 30, 16
"""The size of a picture of a run, and its margins."""

FONT = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"

# Inside a page the text takes the colour of the page; a file sets its own colours.
_STYLE = (
    "svg:root{background:#fff;color:#1f2328}"
    "@media (prefers-color-scheme:dark){svg:root{background:#16181c;color:#dfe3e8}}"
)


def number(value: float) -> str:
    """Write a coordinate, with one decimal at most."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def tag(name: str, inner: str = "", /, **attributes: object) -> str:
    """Build an element; ``inner`` is markup already, attributes are numbers or safe strings."""
    written = "".join(
        f' {key.strip("_").replace("_", "-")}="'
        f'{number(value) if isinstance(value, (int, float)) else value}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def label(
    x: float,
    y: float,
    words: object,
    room: float = 400,
    font_size: float = 12,
    font_weight: int | None = None,
    **attributes: object,
) -> str:
    """Build a line of text, cut to ``room`` pixels; it may run from right to left."""
    inner = escape(shorten_to_width(words, room, font_size, font_weight is not None))
    size = None if font_size == 12 else font_size
    return tag("text", inner, x=x, y=y, font_size=size, font_weight=font_weight, **attributes)


def title(*lines: object) -> str:
    """Build the lines that a browser shows on hover."""
    return tag("title", "\n".join(shorten_and_escape(line, 120) for line in lines))


def picture(width: float, height: float, name: str, parts: list[str], style: str = "") -> str:
    """Build a whole picture of parts, with an accessible name."""
    return tag(
        "svg",
        "".join([title(name), tag("style", _STYLE + style), *parts]),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        role="img",
        font_family=FONT,
        font_size=12,
        fill="currentColor",
        style="max-width:100%;height:auto",
    )


def notes_only(name: str, words: str) -> str:
    """Draw a picture that holds only words."""
    return picture(WIDTH, 48, name, [label(WIDTH / 2, 28, words, text_anchor="middle")])


def time_axis(left: float, y: float, width: float, span: float) -> list[str]:
    """Draw an axis of seconds from 0 to a span, with its numbers below."""
    line = tag("path", d=f"M{number(left)} {number(y)}h{number(width)}", **_THIN)
    parts = [line]
    for tick in choose_ticks(span, 8):
        x = left + tick / (span or 1.0) * width
        parts.append(tag("path", d=f"M{number(x)} {number(y)}v4", **_THIN))
        words = format_duration(tick) if tick else "0"
        parts.append(label(x, y + 18, words, text_anchor="middle", opacity=0.75))
    return parts


_THIN: dict[str, object] = {"stroke": "currentColor", "stroke_opacity": 0.5, "fill": "none"}


def legend(left: float, y: float, meanings: list[tuple[str, str]]) -> list[str]:
    """Explain symbols, each drawn around ``(6, 0)``, in a row."""
    parts = []
    for symbol, words in meanings:
        moved = f"translate({number(left)} {number(y - 4)})"
        parts.append(tag("g", symbol, transform=moved))
        parts.append(label(left + 17, y, words, opacity=0.85))
        left += 38 + 6.6 * len(words)
    return parts


def notes(left: float, y: float, lines: list[str], room: float) -> list[str]:
    """Write lines, one below the other."""
    return [label(left, y + 18 * at, line, room, opacity=0.85) for at, line in enumerate(lines)]
