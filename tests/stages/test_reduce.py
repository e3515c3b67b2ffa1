"""Folding a list."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow import (
    NodeResult,
    ReduceNode,
)

from ..stand_ins import (
    Probe,
    answer,
    assert_only_the_caller_runs,
)
from .functions import sync_or_async


class TestReduceNode:
    @sync_or_async
    async def test_folds_in_input_order(self, kind: Callable[..., Any]) -> None:
        node = ReduceNode("join", kind(lambda text, n: f"{text}{n}"), ">", "in", "out")
        result = await answer(node, {"in": range(5)})
        assert result == NodeResult(
            success=True,
            output={"out": ">01234"},
            metadata={"inputs": 5, "outputs": 1, "errors": []},
        )

    async def test_folds_one_item_at_a_time(self) -> None:
        probe = Probe()

        async def fold(_: Any, item: float) -> float:
            return await probe(item)

        assert await ReduceNode("fold", fold).run({"items": [3, 1, 2]}) == {"result": 2}
        assert (probe.peak, probe.started) == (1, [3, 1, 2])

    async def test_calls_its_function_for_the_first_item_too(self) -> None:
        calls: list[tuple[Any, Any]] = []

        def fold(so_far: Any, item: Any) -> Any:
            calls.append((so_far, item))
            return item

        await ReduceNode("fold", fold).run({"items": ["a", "b"]})
        assert calls == [(None, "a"), ("a", "b")]

    @pytest.mark.parametrize("initial", [None, 0, "text", [1], {"a": 1}])
    async def test_an_empty_list_gives_the_initial_value(self, initial: Any) -> None:
        node = ReduceNode("fold", lambda so_far, _: so_far, initial)
        assert await node.run({"items": []}) == {"result": initial}

    async def test_a_mutable_initial_value_is_copied_for_every_run(self) -> None:
        initial: dict[str, list[int]] = {"seen": []}

        def fold(so_far: dict[str, list[int]], item: int) -> dict[str, list[int]]:
            so_far["seen"].append(item)
            return so_far

        node = ReduceNode("fold", fold, initial)
        for _ in range(2):
            assert await node.run({"items": [1, 2]}) == {"result": {"seen": [1, 2]}}
        (await node.run({"items": []}))["result"]["seen"].append(9)
        assert initial == {"seen": []}

    async def test_an_initial_value_that_cannot_be_copied_is_a_failure(self) -> None:
        node = ReduceNode("fold", lambda so_far, _: so_far, threading.Lock())
        result = await answer(node, {"items": [1]})
        assert not result.success
        assert isinstance(result.exception, TypeError)
        assert_only_the_caller_runs()

    def test_needs_a_function(self) -> None:
        with pytest.raises(TypeError, match=r"^reduce_fn must be a function, got None"):
            ReduceNode("fold")
