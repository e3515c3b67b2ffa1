"""A picture that a notebook shows and that ``save`` writes to a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from .embedding import embed_with_still


class Picture:
    """An SVG picture.

    Attributes:
        svg: Its markup.
    """

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture to an SVG file."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        # Inline, because an <img> would not show the titles of elements on hover.
        return embed_with_still(self.svg)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.svg):,} characters of SVG; save it with .save()>"
