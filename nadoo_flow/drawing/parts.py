"""What a node is made of, as far as a picture of it goes."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """One node.

    Attributes:
        name: Its id.
        kind: Its class.
        detail: Its limits and whatever else there is to say.
    """

    name: str
    kind: str
    detail: str = ""

    def build_subtitle(self) -> str:
        """Say what it is in one line."""
        return f"{self.kind} · {self.detail}" if self.detail else self.kind


class Part(NamedTuple):
    """Nodes that work as one.

    Attributes:
        boxes: The nodes, in the order in which data passes them.
        caption: What makes them one; empty for a node by itself.
    """

    boxes: tuple[Box, ...]
    caption: str = ""
