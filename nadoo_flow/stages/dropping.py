"""Items that a stage has dropped: marked where that is decided, left out behind the lanes."""

from __future__ import annotations

from typing import Any

from reactivex import operators as ops

from ..streams import Indexed
from .fusion import Operator, StageRun

DROPPED_ITEM: Any = object()
"""Stands for the value of an item that goes no further."""


def leave_out_dropped(stage_run: StageRun) -> Operator:
    """Emit what is not marked as dropped, and settle the rest."""

    def is_kept(indexed: Indexed[Any]) -> bool:
        index, value = indexed
        if value is not DROPPED_ITEM:
            return True
        stage_run.on_dropped(index)
        return False

    return ops.filter(is_kept)
