"""A FlatMapNode in a chain with a checkpoint: each output is recorded with its position."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx

from nadoo_flow import FlatMapNode, FunctionNode, MapNode
from nadoo_flow.policies import fallback, retry, timeout

from .chains import copy_files, fail, run, stream

SIZES = [3, 0, 5, 1, 4, 2, 0, 7, 6, 1]


class Pieces:
    """Gives so many outputs for a number; each is another one in each life."""

    def __init__(self, life: str, failing: Iterable[int] = ()) -> None:
        self.life = life
        self.failing = set(failing)
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.used: Counter[str] = Counter()

    async def by_async_generator(self, size: int) -> AsyncIterator[str]:
        self.opened.append(size)
        try:
            for number in range(size):
                await asyncio.sleep(0)
                if size in self.failing and number == 3:
                    raise ValueError(f"not {size}")
                yield f"{size}.{number} {self.life}"
        finally:
            self.closed.append(size)

    def by_generator(self, size: int) -> Iterator[str]:
        self.opened.append(size)
        try:
            for number in range(size):
                if size in self.failing and number == 3:
                    raise ValueError(f"not {size}")
                yield f"{size}.{number} {self.life}"
        finally:
            self.closed.append(size)

    def by_list(self, size: int) -> list[str]:
        return list(self.by_generator(size))

    def by_observable(self, size: int) -> Any:
        return rx.from_iterable(self.by_list(size))

    async def use(self, piece: str) -> str:
        self.used[piece] += 1
        await asyncio.sleep(0)
        return piece.upper()

    def chain(self, way: str = "by_async_generator", **options: Any) -> Any:
        node = FunctionNode(getattr(self, way), "cut")
        return FlatMapNode("cut", node, output_key="items", **options) | MapNode("use", self.use)


def pieces(life: str, sizes: Iterable[int] = SIZES) -> list[str]:
    return [f"{size}.{number} {life}".upper() for size in sizes for number in range(size)]


WAYS = ["by_async_generator", "by_generator", "by_list", "by_observable"]


@pytest.mark.parametrize("way", WAYS)
async def test_rule_r60_outputs_that_are_recorded_are_not_made_again(
    way: str, tmp_path: Path
) -> None:
    first, second = Pieces("one"), Pieces("two")
    for made in (first, second):
        assert await run(made.chain(way), SIZES, tmp_path / "a") == pieces("one")
    assert sorted(first.opened) == sorted(SIZES)
    assert second.opened == []
    assert second.used.total() == 0


@pytest.mark.parametrize("way", ["by_async_generator", "by_generator"])
async def test_rule_r61_what_an_item_had_given_counts_when_it_is_opened_again(
    way: str, tmp_path: Path
) -> None:
    path = tmp_path / "chain.sqlite"
    first, second = Pieces("one", failing=[7]), Pieces("two")
    error = await fail(run(first.chain(way, max_concurrency=1), SIZES, path))
    assert "after 3 outputs: ValueError: not 7" in str(error)
    assert await run(second.chain(way, max_concurrency=1), SIZES, path) == [
        *pieces("one", [3, 0, 5, 1, 4, 2, 0]),
        *(f"7.{number} {'ONE' if number < 3 else 'TWO'}" for number in range(7)),
        *pieces("two", [6, 1]),
    ]
    assert second.opened == [7, 6, 1]
    assert second.closed == [7, 6, 1]


async def test_rule_r64_an_item_that_failed_gives_its_other_outputs_in_a_later_run(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chain.sqlite"
    first, second = Pieces("one", failing=[7, 6]), Pieces("two")
    outputs = await run(first.chain(continue_on_error=True), SIZES, path)
    assert len(outputs) == sum(SIZES) - 7
    outputs = await run(second.chain(continue_on_error=True), SIZES, path)
    assert [output[:3] for output in outputs] == [piece[:3] for piece in pieces("one")]
    assert sorted(second.opened) == [6, 7]
    assert sorted(second.used) == [
        f"{size}.{number} two" for size in (6, 7) for number in range(3, size)
    ]


async def test_rule_r31_outputs_before_an_error_are_emitted(tmp_path: Path) -> None:
    made = Pieces("one", failing=[7])
    seen = []

    async def collect() -> None:
        node = FlatMapNode("cut", FunctionNode(made.by_generator, "cut"))
        async with node.stream([2, 7, 9], checkpoint=tmp_path / "a", ordered=True) as outputs:
            async for output in outputs:
                seen.append(output)

    error = await fail(collect())
    assert error.error == "after 3 outputs: ValueError: not 7"
    assert seen == ["2.0 one", "2.1 one", "7.0 one", "7.1 one", "7.2 one"]


async def test_rule_r60_a_copy_of_the_files_at_any_moment_repeats_one_item_a_lane(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chain.sqlite"
    copies = []

    class Copying(Pieces):
        async def use(self, piece: str) -> str:
            if self.used.total() % 4 == 1:
                copy = copy_files(path, tmp_path / f"at {self.used.total()}")
                copies.append((copy, list(self.opened), set(self.used)))
            return await super().use(piece)

    sizes = [*range(7, 20), *range(7)]
    assert await run(Copying("one").chain(max_concurrency=3), sizes, path) == pieces("one", sizes)
    assert len(copies) > 10
    for copy, opened, used in copies:
        made = Pieces("two")
        outputs = await run(made.chain(max_concurrency=3), sizes, copy)
        assert [output[:-4] for output in outputs] == [piece[:-4] for piece in pieces("one", sizes)]
        assert (Counter(opened) & Counter(made.opened)).total() <= 3
        assert len(used.intersection(made.used)) <= 10
        assert max(made.used.values(), default=1) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_rule_r61_an_output_that_is_handed_out_is_on_the_disk(
    way: str, tmp_path: Path
) -> None:
    path = tmp_path / "chain.sqlite"

    def cut(made: Pieces) -> Any:
        return FlatMapNode("cut", FunctionNode(getattr(made, way), "cut"))

    seen = []
    async with cut(Pieces("one")).stream(range(30), checkpoint=path) as outputs:
        async for output in outputs:
            seen.append(output)
            if len(seen) == 100:
                copy = copy_files(path, tmp_path / "copy")
                break
    outputs = await stream(cut(Pieces("two")), range(30), copy)
    assert set(seen) <= set(outputs)
    assert len(outputs) == sum(range(30))


async def test_outputs_of_outputs_are_recognised_by_the_positions_of_all(tmp_path: Path) -> None:
    numbers = count()
    calls: list[Any] = []

    async def halves(text: str) -> AsyncIterator[str]:
        calls.append(text)
        for half in (text[: len(text) // 2], text[len(text) // 2 :]):
            await asyncio.sleep(len(half) % 3)
            yield half

    def chain() -> Any:
        def number(_: str) -> int:
            return next(numbers)

        return (
            FlatMapNode("a", halves, output_key="items")
            | FlatMapNode("b", halves, output_key="items")
            | MapNode("c", number)
        )

    texts = ["abcdefgh", "ijkl", "mnopqrstuvwx", "abcdefgh"]
    first = await stream(chain(), texts, tmp_path / "a", indexed=True)
    second = await stream(chain(), texts, tmp_path / "a", ordered=True, indexed=True)
    assert sorted(first) == sorted(second)
    assert [index for index, _ in second] == sorted([0, 1, 2, 3] * 4)
    assert len(calls) == 12


async def test_fewer_outputs_than_are_recorded_take_none_of_them_back(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"

    def chain(size: int, fails: bool) -> Any:
        def give(_: int) -> Iterator[int]:
            yield from range(size)
            if fails:
                raise ValueError("after all")

        return FlatMapNode("give", give, continue_on_error=True)

    assert await run(chain(150, True), [0], path) == list(range(150))
    assert await run(chain(2, False), [0], path) == list(range(150))
    assert await run(chain(1, False), [0], path) == list(range(150))


async def test_an_output_that_is_no_json_fails_its_item_behind_the_others(tmp_path: Path) -> None:
    closed = []

    def give(number: int) -> Iterator[Any]:
        try:
            yield number
            yield {number}
        finally:
            closed.append(number)

    error = await fail(run(FlatMapNode("give", give), [7], tmp_path / "a"))
    assert error.error.startswith(
        "item 0: after 1 output: TypeError: the output cannot be recorded: "
    )
    assert closed == [7]
    chain = FlatMapNode("give", give, continue_on_error=True)
    assert await run(chain, [7], tmp_path / "a") == [7]


async def test_a_generator_that_is_left_is_closed_and_its_outputs_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    made = Pieces("one")
    async with made.chain("by_async_generator").stream([50], checkpoint=path) as outputs:
        async for _ in outputs:
            break
    assert made.closed == [50]
    again = Pieces("two")
    outputs = await run(again.chain(), [50], path)
    kept = [output for output in outputs if output.endswith("ONE")]
    assert kept == outputs[: len(kept)] != []


@pytest.mark.parametrize("policy", ["retry", "fallback"])
async def test_a_failed_attempt_in_the_second_run_costs_no_recorded_output(
    policy: str, tmp_path: Path
) -> None:
    path = tmp_path / "chain.sqlite"

    def make_chain(life: str, failing: bool) -> FlatMapNode[Any, Any]:
        attempts = count()

        async def give(_: int) -> AsyncIterator[str]:
            if failing and not next(attempts):
                raise ValueError("not yet")
            for number in range(50):
                yield f"{number} {life}"

        other = FunctionNode(give, "other")
        policies: dict[str, Any] = {"retry": retry(2), "fallback": fallback(other)}
        return FlatMapNode("give", FunctionNode(give, "child").pipe(policies[policy]))

    async with make_chain("one", failing=False).stream([0], checkpoint=path) as outputs:
        first = [await anext(outputs) for _ in range(3)]
    resumed = await run(make_chain("two", failing=True), [0], path)
    assert [output.split()[0] for output in resumed] == [str(number) for number in range(50)]
    assert resumed[:3] == first == ["0 one", "1 one", "2 one"]
    assert resumed[-1] == "49 two"


async def test_rule_r27_no_more_is_pulled_than_the_window_while_records_are_written(
    tmp_path: Path,
) -> None:
    pulled = 0

    def endless(_: int) -> Iterator[int]:
        nonlocal pulled
        for number in count():
            pulled += 1
            yield number

    node = FlatMapNode("endless", endless)
    async with node.stream([0], checkpoint=tmp_path / "a", max_in_flight=20) as outputs:
        seen = [await anext(outputs) for _ in range(50)]
        assert seen == list(range(50))
        assert pulled <= 51 + 20


async def test_a_child_that_cannot_be_opened_costs_its_item(tmp_path: Path) -> None:
    def give(number: int) -> Any:
        if number == 1:
            raise ValueError("closed")
        return number if number == 2 else [number]

    chain = FlatMapNode("give", give, continue_on_error=True)
    assert await run(chain, range(4), tmp_path / "a") == [0, 3]
    assert await run(chain, range(4), tmp_path / "a") == [0, 3]


@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_rule_r6_what_an_item_sets_is_not_seen_behind(isolate: Any, tmp_path: Path) -> None:
    from contextvars import ContextVar

    from reactivex import operators as ops

    from nadoo_flow import OperatorNode

    current: ContextVar[int | None] = ContextVar("current", default=None)
    seen: set[int | None] = set()

    async def give(number: int) -> AsyncIterator[int]:
        current.set(number)
        yield number
        await asyncio.sleep(0)
        yield number

    node = FunctionNode(give, "give")
    node.isolate = isolate
    see: Callable[[Any], None] = lambda _: seen.add(current.get())  # noqa: E731
    chain: Any = FlatMapNode("give", node, output_key="items") | OperatorNode(ops.do_action(see))
    await run(chain, range(20), tmp_path / "a")
    assert seen == {None}


async def test_policies_around_a_generator_try_again_only_before_its_outputs(
    tmp_path: Path,
) -> None:
    tries: list[int] = []

    async def give(number: int) -> AsyncIterator[int]:
        tries.append(number)
        if len(tries) == 1:
            raise ConnectionError("once")
        for output in range(3):
            await asyncio.sleep(0)
            yield 10 * number + output

    for _ in range(2):
        node = FunctionNode(give, "give").pipe(timeout(60), retry(3, wait=lambda _: 0))
        outputs = await run(FlatMapNode("give", node), [1, 2], tmp_path / "a")
        assert outputs == [10, 11, 12, 20, 21, 22]
    assert sorted(tries) == [1, 1, 2]


async def test_rule_r64_a_stop_async_iteration_of_a_generator_is_its_error(tmp_path: Path) -> None:
    def yield_and_stop(number: int) -> Iterator[int]:
        yield number
        raise StopAsyncIteration

    stage = FlatMapNode("odd", yield_and_stop, output_key="items")
    error = await fail(run(stage, [1], tmp_path / "chain.sqlite"))
    assert "RuntimeError: generator raised StopAsyncIteration" in str(error)
