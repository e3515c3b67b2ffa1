"""What the tests of checkpoints share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nadoo_flow import BatchProcessor, BatchResult, CheckpointError, FunctionNode, SqliteCheckpoint
from nadoo_flow.checkpoint import Record

real = pytest.mark.asyncio(loop_factories=["real"])
"""The checkpoint has a thread of its own, for which virtual time would not wait."""


class Doubling:
    """A function for a node: doubles numbers, remembers which, and fails where it is told to."""

    def __init__(self, failing: Iterable[int] = ()) -> None:
        self.executed: list[int] = []
        self.failing = set(failing)

    async def __call__(self, number: int) -> dict[str, int]:
        self.executed.append(number)
        await asyncio.sleep(0)
        if number in self.failing:
            raise ValueError(f"not {number}")
        return {"doubled": 2 * number}


def processor(path: object, work: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a batch with a checkpoint over a node that always has the same id."""
    node = FunctionNode(work or Doubling(), "doubling")
    return BatchProcessor(node, checkpoint=path, **options)  # type: ignore[call-overload]


async def raised(work: Any) -> str:
    """Await something that must end with a CheckpointError, and return its words."""
    with pytest.raises(CheckpointError) as caught:
        await work
    return str(caught.value)


async def turns(number: int = 200) -> None:
    """Let the loop turn some times, in which what can happen without the disk happens."""
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    while not condition():  # noqa: ASYNC110  # the code under test has no event to wait for
        await asyncio.sleep(0)


def a_record(item: int, output: bytes = b"1") -> Record:
    return Record(item, bytes([item % 256]) * 32, "input", output, b"{}", 0.5)


def recorded(path: Path, count: int) -> Path:
    """Make a checkpoint file that holds so many records."""
    checkpoint = SqliteCheckpoint(path)
    checkpoint.open("doubling", "FunctionNode")
    checkpoint.record([a_record(item) for item in range(count)])
    checkpoint.close()
    return path


def resumed_indexes(results: Iterable[BatchResult]) -> list[int]:
    return [result.index for result in results if result.metadata.get("resumed")]


class InMemory:
    """A checkpoint of one's own: the protocol in full."""

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.calls: list[str] = []

    def open(self, node_id: str, node_type: str) -> None:
        self.calls.append(f"open {node_id} {node_type}")

    def read_completed(self, start: int, limit: int) -> Sequence[Record]:
        self.calls.append("read_completed")
        return [self.records[item] for item in sorted(self.records) if item >= start][:limit]

    def record(self, records: Iterable[Record]) -> None:
        self.calls.append("record")
        self.records.update({record.item: record for record in records})

    def close(self) -> None:
        self.calls.append("close")


def as_generator(items: Iterable[Any]) -> Iterator[Any]:
    yield from items


async def as_async(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


class Stuck(InMemory):
    """A disk that hangs until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def record(self, records: Iterable[Record]) -> None:
        assert self.go_on.wait(10)
        super().record(records)
