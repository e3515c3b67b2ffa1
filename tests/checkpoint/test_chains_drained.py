"""A chain with a checkpoint that is drained: what was started is recorded, and nothing repeats."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nadoo_flow.streams import Valve

from .chains import Work, halves, run
from .test_chains_of_many import SIZES, Pieces, pieces

NUMBERS = range(100)


@pytest.mark.parametrize("after", [0, 1, 5, 20])
async def test_a_drained_chain_repeats_nothing(after: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    first, second = Work(), Work()
    seen = []
    async with first.chain().stream(NUMBERS, checkpoint=path) as outputs:
        if not after:
            await outputs.drain()
        async for output in outputs:
            seen.append(output)
            if len(seen) == after:
                draining = asyncio.ensure_future(outputs.drain())
    if after:
        assert await draining == 0
    assert len(seen) == len(first.executed.of("halve"))
    assert await run(second.chain(), NUMBERS, path) == halves(NUMBERS)
    assert (first.executed & second.executed).total() == 0


@pytest.mark.parametrize("turns", range(12))
async def test_a_chain_that_is_drained_while_its_file_is_opened_ends(
    turns: int, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    work, valve = Work(), Valve()
    running = asyncio.ensure_future(
        work.chain().run({"items": NUMBERS}, checkpoint=path, valve=valve)
    )
    for _ in range(turns):
        await asyncio.sleep(0)
    await valve.drain()
    output = await running
    assert output == {"items": halves(work.executed.of("square"))} or output == {
        "results": halves(work.executed.of("square"))
    }
    again = Work()
    assert await run(again.chain(), NUMBERS, path) == halves(NUMBERS)
    assert (work.executed & again.executed).total() == 0


async def test_a_drained_item_with_many_outputs_gives_them_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    first, second = Pieces("one"), Pieces("two")
    seen = []
    async with first.chain(max_concurrency=2).stream(SIZES, checkpoint=path) as outputs:
        async for output in outputs:
            seen.append(output)
            if len(seen) == 4:
                draining = asyncio.ensure_future(outputs.drain())
    assert await draining == 0
    outputs_of_all = await run(second.chain(), SIZES, path)
    assert set(seen) <= set(outputs_of_all)
    assert [output[:3] for output in outputs_of_all] == [piece[:3] for piece in pieces("one")]
    assert sorted(first.opened + second.opened) == sorted(SIZES)
