"""Results regrouped into lists in input order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol, TypeAlias, TypeVar

from .._support.tasks import get_running_task
from ..streams import CloseableAsyncIterator


class Numbered(Protocol):
    """A result that knows its position."""

    index: int


N = TypeVar("N", bound=Numbered)

Results: TypeAlias = CloseableAsyncIterator[N] | AsyncGenerator[N, None]


async def in_chunks(ordered: Results[N], chunk_size: int) -> AsyncGenerator[list[N], None]:
    """Group neighbours, and give out what is there before an error is raised."""
    chunk: list[N] = []
    async with aclosing(ordered):
        while not isinstance(result := await _next_or_end(ordered), _End):
            if chunk and result.index // chunk_size != chunk[0].index // chunk_size:
                yield chunk
                chunk = []
            chunk.append(result)
            if len(chunk) == chunk_size:
                yield chunk
                chunk = []
    if chunk:
        yield chunk
    result.raise_error()


async def in_index_order(completed: Results[N]) -> AsyncGenerator[N, None]:
    """Hold results back until all before them are there; at the end, or an error, give out all."""
    held: dict[int, N] = {}
    following = 0
    async with aclosing(completed):
        while not isinstance(result := await _next_or_end(completed), _End):
            held[result.index] = result
            while following in held:
                yield held.pop(following)
                following += 1
    for kept in sorted(held.values(), key=attrgetter("index")):
        yield kept
    result.raise_error()


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error


async def _next_or_end(results: Results[N]) -> N | _End:
    """Return the next result, or how the results ended."""
    try:
        return await anext(results)
    except StopAsyncIteration:
        return _End()
    except (Exception, GeneratorExit) as error:
        if get_running_task() is None:  # the loop is gone, and closes what it has left
            raise
        return _End(error)
