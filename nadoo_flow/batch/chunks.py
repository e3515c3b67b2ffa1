"""Lists of results in input order."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias, TypeVar

from reactivex import Observable

from .._support.tasks import get_running_task
from ..results.batch_result import BatchResult
from ..streams import CloseableAsyncIterator, InOrder

N = TypeVar("N", bound=BatchResult)

Results: TypeAlias = CloseableAsyncIterator[N] | AsyncGenerator[N, None]


async def group_in_chunks(ordered: Results[N], chunk_size: int) -> AsyncGenerator[list[N], None]:
    """Group neighbours in lists; an error is raised after the list of the results before it."""
    chunk: list[N] = []
    async with aclosing(ordered):
        while not isinstance(result := await _await_next(ordered), _End):
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


def order_by_index(results: Observable[BatchResult]) -> Observable[BatchResult]:
    """Emit results in the order of their indexes; those held back stay outstanding in the run."""
    return InOrder[BatchResult](attrgetter("index")).operator(results)


async def restore_order(completed: Results[N]) -> AsyncGenerator[N, None]:
    """Hold each result back until all before it have come; at the end, or an error, yield all."""
    held: dict[int, N] = {}
    following = 0
    async with aclosing(completed):
        while not isinstance(result := await _await_next(completed), _End):
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


async def _await_next(results: Results[N]) -> N | _End:
    """Return the next result, or how the results ended."""
    try:
        return await anext(results)
    except StopAsyncIteration:
        return _End()
    except (Exception, GeneratorExit) as error:
        if get_running_task() is None:  # the loop has ended, and closes generators that are left
            raise
        return _End(error)
