"""What the tests of chains with a checkpoint share."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import CheckpointError, FilterNode, MapNode, NodeError, ReduceNode
from nadoo_flow.stages import ListStage


class Executed(Counter[tuple[str, Any]]):
    """Counts the executions of each item in each stage."""

    def of(self, stage: str) -> list[Any]:
        """Return the items that a stage has executed, each as often as it did."""
        return sorted(item for name, item in self.elements() if name == stage)


class Work:
    """The functions of a chain: they count, and fail where it is said so."""

    def __init__(self, failing: Iterable[int] = ()) -> None:
        self.executed = Executed()
        self.failing = set(failing)

    async def square(self, number: int) -> dict[str, int]:
        self.executed["square", number] += 1
        await asyncio.sleep(0)
        if number in self.failing:
            raise ValueError(f"not {number}")
        return {"number": number, "square": number * number}

    async def is_even(self, data: dict[str, int]) -> bool:
        self.executed["is_even", data["number"]] += 1
        await asyncio.sleep(0)
        return data["square"] % 2 == 0

    def halve(self, data: dict[str, int]) -> int:
        self.executed["halve", data["number"]] += 1
        return data["square"] // 2

    def square_stage(self, **options: Any) -> ListStage:
        return MapNode("square", self.square, output_key="items", **options)

    def even_stage(self) -> ListStage:
        return FilterNode("even", self.is_even, output_key="items")

    def halve_stage(self) -> ListStage:
        return MapNode("halve", self.halve, output_key="items")

    def chain(self, **options: Any) -> Any:
        """Make the chain of three stages."""
        return self.square_stage(**options) | self.even_stage() | self.halve_stage()

    def summing(self, **options: Any) -> Any:
        """Make the chain with a sum at its end."""
        return self.chain(**options) | ReduceNode("sum", add, 0)


def add(total: int, number: int) -> int:
    return total + number


def halves(numbers: Iterable[int]) -> list[int]:
    """Return what the chain makes of numbers."""
    return [number * number // 2 for number in numbers if number % 2 == 0]


async def run(chain: Any, numbers: Iterable[Any], path: object, **options: Any) -> Any:
    """Run a chain over a list, and return its outcome."""
    output = await chain.run({"items": numbers}, checkpoint=path, **options)
    (outcome,) = output.values()
    return outcome


async def stream(chain: Any, source: Any, path: object, **options: Any) -> list[Any]:
    async with chain.stream(source, checkpoint=path, **options) as outputs:
        return [output async for output in outputs]


async def refuse(work: Any) -> str:
    """Await something that must end with a CheckpointError, and return its message."""
    with pytest.raises(CheckpointError) as caught:
        await work
    return str(caught.value)


async def fail(work: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        await work
    return caught.value


def copy_files(path: Path, folder: Path) -> Path:
    """Copy a file that is in use, with what belongs to it, as a power cut would leave it."""
    folder.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        if not each.name.endswith("-shm"):
            shutil.copy(each, folder)
    return folder / path.name


Make = Callable[[Work], Any]
