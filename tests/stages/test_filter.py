"""Filtering a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nadoo_flow import (
    FilterNode,
    NodeResult,
)

from ..stand_ins import (
    Probe,
    answer,
    now,
    slowly,
)
from .functions import sync_or_async


class TestFilterNode:
    @sync_or_async
    async def test_keeps_what_its_function_accepts_in_input_order(
        self, kind: Callable[..., Any]
    ) -> None:
        node = FilterNode("odd", kind(lambda n: n % 2), input_key="in", output_key="out")
        result = await answer(node, {"in": range(6)})
        assert result == NodeResult(
            success=True,
            output={"out": [1, 3, 5]},
            metadata={"inputs": 6, "outputs": 3, "errors": []},
        )

    async def test_order_does_not_depend_on_how_long_an_answer_takes(self) -> None:
        node = FilterNode("slow", slowly)
        assert await node.run({"items": [3, 1, 0, 2]}) == {"filtered": [3, 1, 2]}
        assert now() == 3

    async def test_looks_at_so_many_items_at_a_time(self) -> None:
        probe = Probe()
        await FilterNode("probe", probe, max_concurrency=4).run({"items": [1] * 12})
        assert probe.peak == 4

    @pytest.mark.parametrize(("keeps", "kept"), [(True, 100), (False, 0)])
    async def test_may_keep_all_or_nothing(self, keeps: bool, kept: int) -> None:
        output = await FilterNode("f", lambda _: keeps).run({"items": range(100)})
        assert len(output["filtered"]) == kept

    async def test_keeps_the_very_items(self) -> None:
        items = [{"a": 1}, None, 0, ""]
        output = await FilterNode("all", lambda _: True).run({"items": items})
        assert all(kept is item for kept, item in zip(output["filtered"], items, strict=True))

    async def test_an_answer_without_a_truth_value_fails_the_item(self) -> None:
        class Neither:
            def __bool__(self) -> bool:
                raise ValueError("neither true nor false")

        result = await answer(FilterNode("f", lambda _: Neither()), {"items": [1]})
        assert result.error == "item 0: ValueError: neither true nor false"

    def test_needs_a_function(self) -> None:
        with pytest.raises(TypeError, match=r"^filter_fn must be a function, got None"):
            FilterNode("f")
