"""The file of a chain's checkpoint: one that is damaged, slow, full, or closed while it is used."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import CheckpointError, FlatMapNode, MapNode
from nadoo_flow.checkpoint import StepRecord, StepsFile
from nadoo_flow.stages.options import RunOptions
from nadoo_flow.stages.resuming import ChainCheckpoint
from nadoo_flow.streams import drain

from .chains import Work, halves, refuse, run
from .helpers import real, turns, until

NUMBERS = range(100)


def plan(chain: Any, numbers: Iterable[Any], file: StepsFile) -> Any:
    """Plan runs that record in a file of a kind of its own."""
    return chain._plan_values(numbers, RunOptions(checkpoint=ChainCheckpoint(file, None)))


class Stuck(StepsFile):
    """A disk that hangs until it goes on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go_on = threading.Event()

    def write(self, records: Iterable[StepRecord]) -> None:
        assert self.go_on.wait(10)
        super().write(records)


@real
async def test_rule_r60_no_lane_takes_another_item_while_the_disk_hangs(tmp_path: Path) -> None:
    work, seen = Work(), list[int]()
    file = Stuck(tmp_path / "a")
    running = asyncio.create_task(drain(plan(work.chain(), NUMBERS, file), seen.append))
    await until(lambda: work.executed.total() == 10)
    await turns()
    assert work.executed.of("square") == list(range(10))
    assert work.executed.of("is_even") == seen == []
    file.go_on.set()
    await running
    assert sorted(seen) == halves(NUMBERS)


@real
@pytest.mark.parametrize("isolate", ["context", "task"])
async def test_a_cancelled_chain_ends_after_its_disk_and_keeps_what_was_finished(
    isolate: Any, tmp_path: Path
) -> None:
    work = Work()
    chain = work.chain()
    chain.stages[0].child_node.isolate = isolate
    file = Stuck(tmp_path / "a")
    running = asyncio.create_task(drain(plan(chain, NUMBERS, file), lambda _: None))
    await until(lambda: work.executed.total() == 10)
    await turns()
    running.cancel()
    await turns()
    assert not running.done()
    file.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    again = Work()
    await run(again.chain(), NUMBERS, tmp_path / "a")
    assert again.executed.of("square") == list(range(10, 100))


@real
@pytest.mark.parametrize("swallows", [False, True])
async def test_rule_r4_a_generator_that_is_left_does_not_wait_for_the_disk(
    swallows: bool, tmp_path: Path
) -> None:
    steps = []

    async def give(number: int) -> AsyncIterator[int]:
        try:
            yield number
            steps.append("went on")
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                if not swallows:
                    raise
            yield number
        finally:
            steps.append("closed")

    file = Stuck(tmp_path / "a")
    running = asyncio.create_task(drain(plan(FlatMapNode("give", give), [7], file), lambda _: None))
    await until(lambda: steps == ["went on"])
    running.cancel()
    await turns()
    assert steps == ["went on", "closed"]
    file.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):
            await running


class Failing(StepsFile):
    """A disk that fails from the third group on."""

    def __init__(self, path: Path, error: BaseException) -> None:
        super().__init__(path)
        self.error = error
        self.groups = 0

    def write(self, records: Iterable[StepRecord]) -> None:
        self.groups += 1
        if self.groups > 2:
            raise self.error
        super().write(records)


@pytest.mark.parametrize("error", [OSError("gone"), StopIteration("gone"), KeyboardInterrupt()])
async def test_a_disk_that_fails_ends_the_run_and_hands_over_what_is_unrecorded(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "a"
    work = Work()
    with pytest.raises(CheckpointError, match="the checkpoint failed: ") as caught:
        await drain(plan(work.chain(), NUMBERS, Failing(path, error)), lambda _: None)
    lost = caught.value.unrecorded
    assert lost
    assert {result.metadata["stage"] for result in lost} <= {"square", "even", "halve"}
    for result in lost:
        if result.metadata["stage"] == "square":
            assert result.output == {"number": result.index, "square": result.index**2}
    again = Work()
    assert await run(again.chain(), NUMBERS, path) == halves(NUMBERS)
    assert again.executed.total() >= len(lost)


async def test_a_file_that_is_damaged_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    await run(Work().chain(), NUMBERS, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE steps SET value = '7' WHERE stage = '1' AND item = '5'")
    connection.close()
    assert await refuse(run(Work().chain(), NUMBERS, path)) == (
        f"the checkpoint {str(path)!r} is damaged: item 5 of stage 1 is not as it was written"
    )


async def test_a_file_without_stages_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a"
    await run(Work().chain(), NUMBERS, path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM header")
    connection.close()
    message = await refuse(run(Work().chain(), NUMBERS, path))
    assert message == f"the checkpoint {str(path)!r} is damaged: it names no stage"


@pytest.mark.parametrize("many", [False, True])
async def test_an_output_that_the_codec_cannot_read_ends_the_run(
    many: bool, tmp_path: Path
) -> None:
    class Odd:
        def encode(self, value: object) -> bytes:
            return b"odd"

        def decode(self, data: bytes) -> Any:
            raise ValueError("what is this?")

    def give(number: int) -> list[int]:
        return [number]

    def chain() -> Any:
        if many:
            return FlatMapNode("give", give, continue_on_error=True)
        return MapNode("give", give, continue_on_error=True)

    path = tmp_path / "a"
    await run(chain(), range(3), path, codec=Odd())
    assert await refuse(run(chain(), range(1), path, codec=Odd())) == (
        f"the checkpoint {str(path)!r} holds an output of item 0 of the stage 'give' that the "
        "codec cannot read: ValueError: what is this?"
    )


@pytest.mark.parametrize("error", [LookupError, BaseException])
@pytest.mark.parametrize("kind", ["map", "many"])
async def test_what_a_consumer_raises_ends_the_run(
    kind: str, error: type[BaseException], tmp_path: Path
) -> None:
    def refuse_output(_: object) -> None:
        raise error("not this one")

    def give(number: int) -> Iterator[int]:
        yield number

    chain: Any = FlatMapNode("give", give) if kind == "many" else Work().chain()
    for _ in range(2):
        file = StepsFile(tmp_path / "a")
        with pytest.raises(error, match="not this one"):
            await drain(plan(chain, [2], file), refuse_output)


async def test_an_error_of_the_source_comes_behind_what_it_gave(tmp_path: Path) -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise OSError("the inputs are gone")

    for _ in range(2):
        seen = []
        with pytest.raises(OSError, match="gone"):
            async for output in Work().chain().stream(broken(), checkpoint=tmp_path / "a"):
                seen.append(output)
        assert sorted(seen) == halves(range(5))
