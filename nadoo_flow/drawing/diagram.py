"""The diagram of a node: its parts one below the other, fused stages in one frame."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .._support.text import shorten
from .parts import Box, Part
from .svg import PALETTE, label, number, picture, tag, title

_WIDTH, _MARGIN = 520, 16
_BOX, _GAP, _CAPTION = 50, 22, 24


def draw_diagram(name: str, parts: Sequence[Part]) -> str:
    """Draw parts as a picture."""
    drawn: list[str] = []
    y, previous = float(_MARGIN), None
    for place, part in enumerate(parts):
        colour = PALETTE[place % len(PALETTE)]
        gap = _GAP / 3 if part.is_choice else _GAP
        height = len(part.boxes) * (_BOX + gap) - gap
        top = y
        if part.caption:
            y += _CAPTION
        if part.is_choice and previous is not None:
            drawn.append(_draw_arrow(previous, top))
        for box in part.boxes:
            if previous is not None and not part.is_choice:
                drawn.append(_draw_arrow(previous, y))
            drawn.append(_draw_box(box, y, colour))
            previous = y + _BOX
            y = previous + gap
        y -= gap
        if part.caption:
            frame = _draw_frame(part.caption, top, height + _CAPTION + 12, colour)
            drawn.insert(0, frame)
            y += 12
            if part.is_choice:
                previous = y
        y += _GAP
    return picture(_WIDTH, y - _GAP + _MARGIN, name, drawn)


def write_mermaid(parts: Sequence[Part]) -> str:
    """Write parts as a Mermaid flowchart."""
    lines, arrows, number_of_box = ["flowchart TD"], list[str](), 0
    before: list[int] = []
    for place, part in enumerate(parts):
        indent = "    "
        if part.caption:
            lines.append(f'    subgraph part{place}["{_escape_mermaid(part.caption, 100)}"]')
            indent += "    "
        ends: list[int] = []
        for box in part.boxes:
            words = (
                f"{_escape_mermaid(box.name, 60)}<br/>{_escape_mermaid(box.build_subtitle(), 100)}"
            )
            lines.append(f'{indent}node{number_of_box}["{words}"]')
            arrows += [f"    node{at} --> node{number_of_box}" for at in before]
            ends.append(number_of_box)
            if not part.is_choice:
                before = [number_of_box]
            number_of_box += 1
        before = ends if part.is_choice else before
        if part.caption:
            lines.append("    end")
    return "\n".join(lines + arrows)


def _draw_box(box: Box, y: float, colour: str) -> str:
    x = 2 * _MARGIN
    room = _WIDTH - 2 * x - 28
    rect = _draw_rounded_rect(x, y, _BOX, fill=colour, fill_opacity=0.14, stroke=colour)
    name = label(x + 14, y + 21, box.name, room, font_weight=600, font_size=13)
    subtitle = label(x + 14, y + 39, box.build_subtitle(), room, opacity=0.85)
    return tag("g", title(box.name, box.build_subtitle()) + rect + name + subtitle)


def _draw_frame(caption: str, y: float, height: float, colour: str) -> str:
    rect = _draw_rounded_rect(
        _MARGIN, y, height, fill="none", stroke=colour, stroke_dasharray="5 4"
    )
    return rect + label(
        2 * _MARGIN, y + 17, caption, _WIDTH - 7 * _MARGIN, font_size=11, opacity=0.85
    )


def _draw_rounded_rect(x: float, y: float, height: float, **attributes: object) -> str:
    return tag("rect", x=x, y=y, width=_WIDTH - 2 * x, height=height, rx=8, **attributes)


def _draw_arrow(start: float, end: float) -> str:
    x, head = number(_WIDTH - 5 * _MARGIN), number(end - start - 2)
    d = f"M{x} {number(start + 1)}v{head}m-4 -6l4 6l4 -6"
    return tag("path", d=d, stroke="currentColor", stroke_opacity=0.7, fill="none")


def _escape_mermaid(value: object, limit: int) -> str:
    """Write words for a quoted Mermaid label, in which punctuation may have a meaning."""
    return re.sub(r"[^\w .,:()·…-]", lambda found: f"#{ord(found[0])};", shorten(value, limit))
