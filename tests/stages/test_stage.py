"""What all list stages have in common: they open a list, and they close it."""

from __future__ import annotations

import asyncio
from collections import UserDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from reactivex import from_iterable
from reactivex import operators as ops

from nadoo_flow import BatchProcessor, FilterNode, MapNode, NodeResult, ReduceNode
from nadoo_flow.stages.stage import ListStage

from ..stand_ins import Probe, answer, now, observed


def _same(value: Any) -> Any:
    return value


def _collect(values: list[Any] | None, value: Any) -> list[Any]:
    return [*(values or []), value]


def _map(**options: Any) -> ListStage:
    return MapNode("stage", _same, **options)


def _filter(**options: Any) -> ListStage:
    return FilterNode("stage", lambda _: True, **options)


def _reduce(**options: Any) -> ListStage:
    return ReduceNode("stage", _collect, [], **options)


_every_stage = pytest.mark.parametrize("make", [_map, _filter, _reduce])


@_every_stage
class TestEveryStage:
    @pytest.mark.parametrize(
        "items",
        [
            [1, 2, 3],
            (1, 2, 3),
            range(1, 4),
            deque([1, 2, 3]),
            {1: "a", 2: "b", 3: "c"}.keys(),
        ],
        ids=lambda items: type(items).__name__,
    )
    async def test_takes_any_list_like_value(
        self, make: Callable[..., ListStage], items: Any
    ) -> None:
        result = await answer(make(input_key="in", output_key="out"), {"in": items, "more": 1})
        assert result.output == {"out": [1, 2, 3]}
        assert result.success

    async def test_takes_an_iterator(self, make: Callable[..., ListStage]) -> None:
        stage = make(output_key="out")
        assert await stage.run({"items": iter([1, 2])}) == {"out": [1, 2]}
        assert await stage.run({"items": (n for n in (1, 2))}) == {"out": [1, 2]}

    async def test_takes_an_empty_list(self, make: Callable[..., ListStage]) -> None:
        assert await make(output_key="out").run({"items": []}) == {"out": []}

    async def test_does_not_change_its_input(self, make: Callable[..., ListStage]) -> None:
        items = [1, 2]
        output = await make(output_key="out").run({"items": items})
        assert items == [1, 2]
        assert output["out"] is not items

    async def test_says_what_it_missed_and_what_it_found(
        self, make: Callable[..., ListStage]
    ) -> None:
        stage = make(input_key="texts")
        result = await answer(stage, {"text": [], "lang": "ko"})
        assert result == NodeResult(
            success=False,
            error="LookupError: the input has no key 'texts'; it has 'text', 'lang'",
        )
        assert isinstance(result.exception, LookupError)
        assert (await answer(stage, {})).error == (
            "LookupError: the input has no key 'texts'; it has no keys"
        )

    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("Hello", "'Hello' (str)"),
            (b"Hello", "b'Hello' (bytes)"),
            ({"a": 1}, "{'a': 1} (dict)"),
            (5, "5 (int)"),
            (None, "None (NoneType)"),
        ],
    )
    async def test_says_what_it_found_in_place_of_a_list(
        self, make: Callable[..., ListStage], value: Any, found: str
    ) -> None:
        result = await answer(make(input_key="texts"), {"texts": value})
        assert result == NodeResult(
            success=False,
            error=f"TypeError: the input's 'texts' must be a list of items, got {found}",
        )

    @pytest.mark.parametrize("value", [[1, 2], "text", None])
    async def test_says_that_its_input_is_no_mapping(
        self, make: Callable[..., ListStage], value: Any
    ) -> None:
        error = (await answer(make(), value)).error or ""
        assert error.startswith("TypeError: the input must be a mapping with the key 'items', got ")

    async def test_takes_any_mapping(self, make: Callable[..., ListStage]) -> None:
        assert await make(output_key="out").run(UserDict(items=[1])) == {"out": [1]}

    async def test_fails_with_the_error_of_its_items(self, make: Callable[..., ListStage]) -> None:
        def items() -> Iterator[int]:
            yield 1
            raise OSError("lost")

        result = await answer(make(), {"items": items()})
        assert (result.success, result.error, result.output) == (False, "OSError: lost", None)
        assert isinstance(result.exception, OSError)

    async def test_counts_its_items(self, make: Callable[..., ListStage]) -> None:
        result = await answer(make(), {"items": (n for n in (1, 2, 3))})
        outputs = 1 if make is _reduce else 3
        assert result.metadata == {"inputs": 3, "outputs": outputs, "errors": []}

    async def test_can_run_many_times_at_once(self, make: Callable[..., ListStage]) -> None:
        stage = make(output_key="out")
        outputs = await asyncio.gather(*(stage.run({"items": [n, n + 1]}) for n in range(5)))
        assert outputs == [{"out": [n, n + 1]} for n in range(5)]

    async def test_is_a_node_for_a_batch(self, make: Callable[..., ListStage]) -> None:
        results = await BatchProcessor(make(output_key="out"), 2).batch(
            [{"items": [1]}, {"wrong": 0}, {"items": [2, 3]}]
        )
        assert [(result.success, result.output) for result in results] == [
            (True, {"out": [1]}),
            (False, None),
            (True, {"out": [2, 3]}),
        ]

    @pytest.mark.parametrize("key", ["input_key", "output_key"])
    def test_needs_real_keys(self, make: Callable[..., ListStage], key: str) -> None:
        with pytest.raises(ValueError, match=f"^{key} must not be empty$"):
            make(**{key: ""})
        with pytest.raises(TypeError, match=rf"^{key} must be a str, got 5 \(int\)$"):
            make(**{key: 5})

    async def test_is_an_operator_for_anyones_chain(self, make: Callable[..., ListStage]) -> None:
        values: list[Any] = []
        chain = from_iterable([1, 2, 3]).pipe(make().as_operator(), ops.map(str))
        assert await observed(chain, values) is None
        assert values == (["[1, 2, 3]"] if make is _reduce else ["1", "2", "3"])

    @pytest.mark.parametrize("ordered", [1, "yes", None])
    def test_as_operator_needs_a_bool(self, make: Callable[..., ListStage], ordered: Any) -> None:
        with pytest.raises(TypeError, match=r"^ordered must be True or False, got "):
            make().as_operator(ordered=ordered)


@pytest.mark.parametrize(
    "make",
    [
        lambda fn: MapNode("stage", fn),
        lambda fn: FilterNode("stage", lambda item: fn(item)),
        lambda fn: ReduceNode("stage", lambda _, item: fn(item)),
    ],
    ids=["map", "filter", "reduce"],
)
@pytest.mark.parametrize("fails", [False, True])
async def test_rule_313_a_generator_that_is_left_early_is_closed(
    make: Callable[[Any], ListStage], fails: bool
) -> None:
    closed: list[float] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(now())

    async def work(_: int) -> None:
        await asyncio.sleep(1)
        if fails:
            raise ValueError("bad")
        await asyncio.sleep(9)

    generator = endless()
    task = asyncio.create_task(answer(make(work), {"items": generator}))
    await asyncio.sleep(2)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() is not fails
    assert closed == [1 if fails else 2]


async def test_a_stage_of_ones_own_writes_its_operator() -> None:
    class Twice(ListStage):
        def __init__(self) -> None:
            super().__init__("twice", "items", "results", 1)

        def operator(self, stage_run: Any) -> Any:
            return ops.map(lambda indexed: (indexed[0], indexed[1] * 2))

    assert await Twice().run({"items": [1, 2]}) == {"results": [2, 4]}


async def test_a_stage_without_an_operator_says_what_is_missing() -> None:
    result = await answer(ListStage("bare", "items", "results", 1), {"items": [1]})
    assert result.error == "NotImplementedError: ListStage must define operator()"


async def test_a_stage_inside_a_stage_has_its_own_limit() -> None:
    probe = Probe()
    inner = MapNode("inner", probe, max_concurrency=2)
    outer = MapNode("outer", inner, max_concurrency=3)
    output = await outer.run({"items": [{"items": [1, 2, 3, 4]} for _ in range(5)]})
    assert probe.peak == 6
    assert output == {"results": [{"results": [1, 2, 3, 4]}] * 5}
