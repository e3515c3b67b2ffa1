"""Results as they complete, regrouped into lists in input order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from operator import attrgetter
from typing import Protocol, TypeVar

from .streams import CloseableAsyncIterator


class Numbered(Protocol):
    """A result that knows its position."""

    index: int


N = TypeVar("N", bound=Numbered)


async def in_chunks(
    completed: CloseableAsyncIterator[N], chunk_size: int
) -> AsyncGenerator[list[N], None]:
    """Yield each list of neighbours, in order, as soon as all of it is there."""
    chunks: defaultdict[int, list[N]] = defaultdict(list)
    following = 0
    async with aclosing(completed):
        async for result in completed:
            chunks[result.index // chunk_size].append(result)
            while len(chunks[following]) == chunk_size:
                yield sorted(chunks.pop(following), key=attrgetter("index"))
                following += 1
    if chunks[following]:
        yield sorted(chunks.pop(following), key=attrgetter("index"))
