"""Results regrouped into lists in input order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from operator import attrgetter
from typing import Protocol, TypeAlias, TypeVar

from ..streams import CloseableAsyncIterator


class Numbered(Protocol):
    """A result that knows its position."""

    index: int


N = TypeVar("N", bound=Numbered)

Results: TypeAlias = CloseableAsyncIterator[N] | AsyncGenerator[N, None]


async def in_chunks(ordered: Results[N], chunk_size: int) -> AsyncGenerator[list[N], None]:
    """Group neighbours, and give out what is there before an error is raised."""
    chunk: list[N] = []
    error: Exception | None = None
    async with aclosing(ordered):
        while True:
            try:
                result = await anext(ordered)
            except StopAsyncIteration:
                break
            except Exception as failed:
                error = failed
                break
            if chunk and result.index // chunk_size != chunk[0].index // chunk_size:
                yield chunk
                chunk = []
            chunk.append(result)
            if len(chunk) == chunk_size:
                yield chunk
                chunk = []
    if chunk:
        yield chunk
    if error is not None:
        raise error


async def in_index_order(completed: Results[N]) -> AsyncGenerator[N, None]:
    """Hold results back until all before them are there; at the end, or an error, give out all."""
    held: dict[int, N] = {}
    following = 0
    async with aclosing(completed):
        try:
            async for result in completed:
                held[result.index] = result
                while following in held:
                    yield held.pop(following)
                    following += 1
        except Exception as error:
            for result in sorted(held.values(), key=attrgetter("index")):
                yield result
            raise error
    for result in sorted(held.values(), key=attrgetter("index")):
        yield result
