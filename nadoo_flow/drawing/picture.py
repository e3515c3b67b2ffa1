"""A picture as an object: a notebook shows it, ``save`` writes it to a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path


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
        # Shown inline, so that what it tells on hover can be seen; an image of it would be still.
        return self.svg

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.svg):,} characters of SVG; save it with .save()>"
