"""The parts of a node as its diagram shows them."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """One node.

    Attributes:
        name: Its id.
        kind: Its class.
        detail: Its limits and other settings.
    """

    name: str
    kind: str
    detail: str = ""

    def build_subtitle(self) -> str:
        """Return the kind and the detail in one line."""
        return f"{self.kind} · {self.detail}" if self.detail else self.kind


class Part(NamedTuple):
    """Nodes that work as one.

    Attributes:
        boxes: The nodes, in the order in which data passes them.
        caption: The reason why they work as one; empty for a single node.
        is_choice: Whether data passes only one of them.
    """

    boxes: tuple[Box, ...]
    caption: str = ""
    is_choice: bool = False
