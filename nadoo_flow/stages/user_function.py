"""Calls of a user's function on one item."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from ..errors import NO_MESSAGE, NodeError
from ..nodes.execution import make_item_failure


async def call_for_item(node_id: str, index: int, fn: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, sync or async, and name the item if it fails.

    Raises:
        NodeError: If it fails, with the id of the stage and the index of the item.
    """
    try:
        answer = fn(*arguments)
        return await answer if inspect.isawaitable(answer) else answer
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        result = make_item_failure(error)
        raise NodeError(node_id, result.error or NO_MESSAGE, index) from error
