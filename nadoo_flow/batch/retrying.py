"""Further tries of what failed in a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import attrgetter

from .._support.backoff import Wait, generate_waits
from ..errors import NodeError
from ..results.batch_result import BatchResult
from ..results.batch_results import BatchResults
from ..results.stopped import Stopped


async def retry_results(
    results: Iterable[BatchResult],
    attempts: int,
    wait: Wait | None,
    process_again: Callable[[list[BatchResult]], Awaitable[BatchResults]],
) -> BatchResults:
    """Process failed results again until none is left or the attempts are used up.

    A try that is ended early, by a limit or a valve, is the last one.

    Args:
        results: Results of an earlier batch, in any order.
        attempts: How often to try again, at most.
        wait: Seconds before each try, or a tenacity wait strategy.
        process_again: Gives a result for each failed one, in the same order, or for some of them.
    """
    latest = list(results)
    stopped: Stopped | None = None
    for seconds in generate_waits(wait, attempts):
        failed = [place for place, result in enumerate(latest) if not result.success]
        if not failed:
            break
        await asyncio.sleep(seconds)
        # In the order of their indexes, in which a checkpoint expects its inputs.
        failed.sort(key=lambda place: latest[place].index)
        retried = await process_again([latest[place] for place in failed])
        stopped = retried.stopped
        places = iter(failed)
        for result in retried:
            # Those that were not tried again are passed over.
            place = next(place for place in places if latest[place].index == result.index)
            latest[place] = result
        if stopped is not None or len(retried) < len(failed):
            break
    return BatchResults(sorted(latest, key=attrgetter("index")), stopped=stopped)


async def restore_indexes(batch: Awaitable[BatchResults], indexes: Sequence[int]) -> BatchResults:
    """Await a batch, and give its items the indexes that they had in an earlier one."""
    try:
        results = await batch
    except NodeError as error:
        if error.index is None:
            raise
        index = indexes[error.index]
        raise NodeError(error.node_id, error.error, index) from error.__cause__
    if len(results) < len(indexes):  # it was ended early
        for result in results:
            result.index = indexes[result.index]
        return results
    for index, result in zip(indexes, results, strict=True):
        result.index = index
    return results
