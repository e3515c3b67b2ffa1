"""How the pulling of one ``flat_map_many`` is drained."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from ..draining import DrainPart
from .pulling import Pulling


class PullingDrain(DrainPart):
    """How the pulling of outputs is drained, and the order of items that have not started.

    Args:
        pulling: Pulls them.
        is_first: Whether items do not start because the run is drained, and not only when what is
            in work is cancelled.
    """

    def __init__(self, pulling: Pulling[Any, Any], *, is_first: bool) -> None:
        self._pulling = pulling
        self._is_first = is_first

    @override
    def settle_unstarted(self) -> None:
        if self._is_first:
            self._pulling.forget_expected()

    @override
    def cut(self) -> None:
        self._pulling.leave_items()
        self._pulling.forget_expected()
