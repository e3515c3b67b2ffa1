"""What the functions of filters and of reduces have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow import (
    BaseNode,
    FilterNode,
    NodeResult,
    ReduceNode,
)

from ..stand_ins import (
    FLOOR_DIVISION,
    answer,
    assert_only_the_caller_runs,
)
from .functions import sync_or_async


@sync_or_async
@pytest.mark.parametrize(
    "make",
    [
        lambda fn: FilterNode("stage", fn),
        lambda fn: ReduceNode("stage", lambda _, item: fn(item)),
    ],
    ids=["filter", "reduce"],
)
class TestAUsersFunction:
    """What the functions of a filter and of a reduce have in common."""

    async def test_that_raises_fails_the_node_and_names_the_item(
        self, make: Callable[..., BaseNode], kind: Callable[..., Any]
    ) -> None:
        result = await answer(make(kind(lambda item: 6 // item)), {"items": [1, 2, 0, 3]})
        assert result == NodeResult(
            success=False,
            error=f"item 2: {FLOOR_DIVISION}",
        )
        assert isinstance(result.exception, ZeroDivisionError)
        assert_only_the_caller_runs()

    async def test_that_raises_a_stray_cancelled_error_fails_the_node(
        self, make: Callable[..., BaseNode], kind: Callable[..., Any]
    ) -> None:
        def stray(_: Any) -> None:
            raise asyncio.CancelledError("stray")

        result = await answer(make(kind(stray)), {"items": [1]})
        assert result == NodeResult(success=False, error="item 0: CancelledError: stray")
        assert isinstance(result.exception, asyncio.CancelledError)
