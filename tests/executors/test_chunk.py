"""How many outputs travel together, and that each arrives as it was."""

from __future__ import annotations

from typing import Any

import pytest

from nadoo_flow.executors.chunk import ENOUGH_BYTES, FIRST, MOST, Chunk, ChunkBuffer
from nadoo_flow.executors.wire import OutputPacker, unpack_outputs


def fill(buffer: ChunkBuffer) -> Chunk:
    while not buffer.is_full:
        buffer.add_plain(buffer.outputs)
    return buffer.take(None)


def test_chunks_grow_while_they_are_full_in_time() -> None:
    buffer = ChunkBuffer(None)
    sizes = []
    for _ in range(9):
        sizes.append(fill(buffer).outputs)
        buffer.grow()
    assert sizes == [FIRST, 128, 256, 512, 1024, 2048, MOST, MOST, MOST]
    assert fill(ChunkBuffer(None)).outputs == FIRST


def test_a_fixed_number_stays_as_it_is_whatever_the_size() -> None:
    buffer = ChunkBuffer(3)
    buffer.add_packed(b"x" * ENOUGH_BYTES)
    assert not buffer.is_full
    buffer.add_plain("x" * ENOUGH_BYTES)
    buffer.grow()
    buffer.add_plain(1)
    assert buffer.is_full
    assert buffer.take(None).outputs == 3


@pytest.mark.parametrize("kind", ["plain", "packed"])
def test_large_outputs_are_a_chunk_before_they_are_many(kind: str) -> None:
    buffer = ChunkBuffer(None)
    while not buffer.is_full:
        if kind == "plain":
            buffer.add_plain("x" * (ENOUGH_BYTES // 3))
        else:
            buffer.add_packed(b"x" * (ENOUGH_BYTES // 3 + 1))
    assert buffer.take(None).outputs == 3
    assert not buffer.is_full


def test_outputs_arrive_in_their_order_and_as_they_were() -> None:
    buffer = ChunkBuffer(None)
    packer = OutputPacker()
    same = ["twice"]
    given: list[Any] = [1, "a", [2], [same, same], None, 2.5, b"b", {"c": same, "d": same}, True]
    for output in given:
        if isinstance(output, (list, dict)):
            buffer.add_packed(packer.pack([output]))
        else:
            buffer.add_plain(output)
    end = (b"end", None)
    chunk = buffer.take(end)
    assert (chunk.outputs, chunk.end) == (len(given), end)
    assert [*unpack_outputs(chunk.data, chunk.outputs)] == given
    assert buffer.take(None) == Chunk(0, b"", None)
