"""The failures of a batch on their way to ``failed_to``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from operator import attrgetter
from typing import Any

from typing_extensions import override

from ..dead_letters import DeadLetterError, FailedTo, FailureSink
from ..nodes.context import NodeResult
from ..nodes.execution import make_failure, make_item_failure
from ..results.batch_result import BatchResult
from ..streams import Indexed, Work, do_work
from .item import ItemWork


class LetterWork(Work[Indexed[Any], BatchResult]):
    """Hands each failure to a sink, as the last part of the work on its item.

    So the letter is written before anything learns of the failure, and a slow sink takes the place
    of an item that is in work. What the sink raises ends the run.

    Args:
        work: The work on an item.
        sink: Takes the failures.
    """

    def __init__(self, work: ItemWork, sink: FailureSink) -> None:
        self._work = work
        self._sink = sink

    @override
    def start(self, item: Indexed[Any], started: float) -> Any:
        return self._work_and_report(item, started)

    @override
    def finish(self, item: Indexed[Any], answer: Any, started: float) -> BatchResult:
        if isinstance(answer, DeadLetterError):
            raise answer
        result: BatchResult = answer
        return result

    @override
    def fail(self, item: Indexed[Any], error: BaseException, started: float) -> BatchResult:
        return self._work.fail(item, error, started)

    async def _work_and_report(
        self, item: Indexed[Any], started: float
    ) -> BatchResult | DeadLetterError:
        result = await do_work(self._work, item, started)
        if result.success:
            return result
        # What would be raised here would be taken for a failure of the item.
        return await _hand_over(self._sink, result, make_item_failure) or result


async def send_failed(results: Sequence[BatchResult], failed_to: FailedTo) -> None:
    """Hand failures over outside of a run.

    Raises:
        DeadLetterError: If one cannot be handed over; it has all the results.
    """
    try:
        with closing(failed_to()) as sink:
            for result in results:
                if result.success:
                    continue
                if (error := await _hand_over(sink, result, make_failure)) is not None:
                    raise error
    except DeadLetterError as error:
        error.results = [*results]
        raise


def keep_results(error: Exception, results: Iterable[BatchResult]) -> None:
    """Add the results that would be lost to the error that ended a run, if it can hold them."""
    if isinstance(error, DeadLetterError):
        error.results = sorted([*results, *error.results], key=attrgetter("index"))


async def _hand_over(
    sink: FailureSink, result: BatchResult, as_failure: Callable[[BaseException], NodeResult]
) -> DeadLetterError | None:
    """Hand a failure over, and return the error if that is not possible."""
    try:
        taken = sink.take(result)
        if inspect.isawaitable(taken):
            await taken
    except (Exception, asyncio.CancelledError, GeneratorExit) as raised:
        described = as_failure(raised).error
        error = DeadLetterError(
            f"the failure of item {result.index} could not be handed to failed_to: {described}; "
            f"it was {result.error}",
            [result],
        )
        error.__cause__ = raised
        return error
    return None
