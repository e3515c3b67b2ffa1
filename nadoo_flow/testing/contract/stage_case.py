"""A case in which a stage is checked."""

from __future__ import annotations

from typing import Any, NamedTuple


class StageCase(NamedTuple):
    """Items for a stage.

    Attributes:
        items: The items.
        window: How many may be on their way.
        taken: How many outputs are taken, where not all are.
        cancel_at: Virtual seconds after which a run is cancelled, where that is done.
        turns: How many turns of the loop later.
    """

    items: list[Any]
    window: int
    taken: int
    cancel_at: float
    turns: int
