"""A batch as completed, and the processor time that it takes."""

from __future__ import annotations

from collections.abc import Iterable
from time import process_time
from typing import Any


async def time_batch(processor: Any, given: Iterable[Any], answers: list[list[int]]) -> float:
    """Run a batch, and return the seconds of processor time that it takes.

    Args:
        processor: Processes the inputs.
        given: The inputs.
        answers: Gets the number and the sum of the outputs.
    """
    count = total = 0
    started = process_time()
    async for result in processor.batch_as_completed(given):
        count += 1
        total += result.output
    seconds = process_time() - started
    answers.append([count, total])
    return seconds
