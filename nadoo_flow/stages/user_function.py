"""The work on one item by a user's function."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from typing_extensions import override

from ..errors import NO_MESSAGE, NodeError
from ..nodes.execution import as_answer, make_item_failure
from ..streams import Indexed, Work
from .indexes import get_source_index

R = TypeVar("R")


class FunctionWork(Work[Indexed[Any], R]):
    """Calls a function, sync or async, and names the item if it fails.

    Args:
        node_id: The stage to name.
    """

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id

    def call(self, value: Any) -> Any:
        """Call the function; a subclass writes this."""
        raise NotImplementedError

    def make_result(self, index: int, value: Any, returned: Any) -> R:
        """Return what to emit for what the function returned; a subclass writes this."""
        raise NotImplementedError

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        return as_answer(self.call(item[1]))

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> R:
        try:
            return self.make_result(*item, answer)
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            return self.fail(item, error, started)

    @override
    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> R:
        failed = make_item_failure(error)
        index = get_source_index(item[0])
        text = f"{failed.error or NO_MESSAGE}{self.explain(error)}"
        raise NodeError(self._node_id, text, index) from error

    def explain(self, error: BaseException) -> str:
        """Return what to add to the text of an error, such as its likely cause."""
        return ""
