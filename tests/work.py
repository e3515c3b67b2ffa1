"""Work for ``flat_map`` that is one coroutine function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nadoo_flow.streams import Work


class Mapped(Work[Any, Any]):
    """Maps each item through a coroutine; what that raises ends the run."""

    def __init__(self, mapper: Callable[[Any], Any]) -> None:
        self._mapper = mapper

    def start(self, item: Any, started: float) -> Any:
        return self._mapper(item)
